//! Feeds random input to a function and watches for what must never happen: a panic, a hang, or more memory than
//! the input's size can explain.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

#[path = "cases.rs"]
mod cases;
use cases::cases;

/// A case that takes this long hangs.
const HANG: Duration = Duration::from_secs(30);
/// A single request for more is refused, which ends the process: it must not take the machine with it.
const TOO_MUCH: usize = 4 << 30;
/// What a case may take whatever its size, where the input holds no regular expressions.
pub const LITTLE: usize = 2 << 20;
/// Heap bytes for each byte of input: `tokenizers` keeps a text, its pieces and the place of every character in both.
const PER_BYTE: usize = 400;

/// The system's allocator; counts what each thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static IN_CASE: Cell<bool> = const { Cell::new(false) };
}

fn count(change: isize) {
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every request goes to the system's allocator as it is, or is refused.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        if layout.size() > TOO_MUCH {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        if layout.size() > TOO_MUCH {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        if size > TOO_MUCH {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Fuzzers use all cores: they take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// JSON that is nearly one of `files`: garbage of `words`, one of them with changed bytes, or one with other values.
pub fn nearly_json(files: &[Value], words: &[&str], rng: &mut ChaCha8Rng) -> Vec<u8> {
    match rng.random_range(0..8) {
        0 => garbage(words, rng),
        1 | 2 => mutated(&[pick(files, rng).to_string().into_bytes()], words, rng),
        _ => other_json(files, rng).to_string().into_bytes(),
    }
}

/// As many inputs as `LLM_COURSE_CASES` says, else `default`, each from `make` to `eat`, which also gets a folder of its
/// own and says whether the input was good. Some must be, and some not: else the inputs test little. A case may take
/// `constant` bytes of heap, and [`PER_BYTE`] for each of its input.
pub fn survive(
    what: &str,
    default: u64,
    constant: usize,
    make: impl Fn(&mut ChaCha8Rng) -> Vec<u8> + Sync,
    eat: impl Fn(&[u8], &Path) -> bool + Sync,
) {
    let _turn = alone();
    panics_outside_cases_are_printed();
    let cases = cases(default);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (next, good, worst) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let begun: Vec<AtomicU64> = (0..workers).map(|_| AtomicU64::new(u64::MAX)).collect();
    let (start, done) = (Instant::now(), AtomicBool::new(false));
    let work = |mine: &AtomicU64| {
        let folder = tempfile::tempdir().expect("a folder");
        loop {
            let number = next.fetch_add(1, Relaxed);
            if number >= cases {
                return;
            }
            let input = make(&mut ChaCha8Rng::seed_from_u64(number));
            mine.store(number, Relaxed);
            let (result, peak) = watched(|| eat(&input, folder.path()));
            mine.store(u64::MAX, Relaxed);
            let shown = || input[..input.len().min(3000)].escape_ascii().to_string();
            worst.fetch_max(peak as u64, Relaxed);
            let most = constant + PER_BYTE * input.len();
            let fault = match result {
                Err(message) => format!("panics: {message}"),
                Ok(_) if peak > most => format!("takes {peak} bytes of heap for {}", input.len()),
                Ok(fine) => {
                    good.fetch_add(u64::from(fine), Relaxed);
                    continue;
                }
            };
            next.store(cases, Relaxed); // the others stop too
            panic!("{what}, case {number} {fault}\n{}", shown());
        }
    };
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut seen: Vec<(u64, Instant)> = vec![(u64::MAX, Instant::now()); workers];
            while !done.load(Relaxed) {
                std::thread::park_timeout(Duration::from_millis(500));
                for (slot, mine) in seen.iter_mut().zip(&begun) {
                    let number = mine.load(Relaxed);
                    if number == u64::MAX || number != slot.0 {
                        *slot = (number, Instant::now());
                    } else if slot.1.elapsed() > HANG {
                        let input = make(&mut ChaCha8Rng::seed_from_u64(number));
                        eprintln!("{what}, case {number} hangs\n{}", input.escape_ascii());
                        std::process::abort();
                    }
                }
            }
        });
        let threads: Vec<_> = begun.iter().map(|mine| scope.spawn(|| work(mine))).collect();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        done.store(true, Relaxed);
        watch.thread().unpark();
        results
            .into_iter()
            .for_each(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    });
    let (good, worst) = (good.into_inner(), worst.into_inner());
    println!(
        "{what}: {cases} inputs survived in {:.0} s, {good} of them good; at most {worst} bytes of heap for one, \
         {} MB resident",
        start.elapsed().as_secs_f64(),
        resident_peak() >> 20
    );
    assert!(good > 0 && good < cases, "{what}: {good} of {cases} inputs are good");
    assert!(resident_peak() < 2 << 30, "{what}: libtorch's memory counts too");
}

/// What a case gives, or its panic's message, and the bytes of heap it took at most.
pub fn watched<R>(case: impl FnOnce() -> R) -> (Result<R, String>, usize) {
    let before = HELD.get();
    PEAK.set(before);
    IN_CASE.set(true);
    let result = catch_unwind(AssertUnwindSafe(case)).map_err(|panic| message(&*panic));
    IN_CASE.set(false);
    (result, (PEAK.get() - before) as usize)
}

/// What a panic said.
pub fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

/// A million caught panics would fill the screen; `survive` says what the first one was.
fn panics_outside_cases_are_printed() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IN_CASE.get() {
                usual(panic);
            }
        }));
    });
}

/// The most memory that this process ever had, in bytes; 0 where there is no /proc.
fn resident_peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok()).unwrap_or(0) << 10
}

/// Numbers at which arithmetic and allocations break.
const NUMBERS: [&str; 14] = [
    "0",
    "1",
    "-1",
    "255",
    "65536",
    "4294967295",
    "4294967296",
    "1152921504606846976",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "0.5",
];

fn pick<'a, T>(from: &'a [T], rng: &mut ChaCha8Rng) -> &'a T {
    &from[rng.random_range(0..from.len())]
}

/// Random bytes, or `words` in a row.
pub fn garbage(words: &[&str], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let long = if rng.random_range(0..50) == 0 { 20 } else { 1 };
    let length = rng.random_range(0..100);
    match rng.random_range(0..3) {
        0 => (0..length).map(|_| rng.random()).collect(),
        1 => (0..length).flat_map(|_| pick(words, rng).bytes().collect::<Vec<_>>()).collect(),
        _ => pick(words, rng).repeat(length * long).into_bytes(),
    }
}

/// One of `seeds` with up to eight faults: bits, numbers, `words`, and stretches that are cut, doubled or moved.
pub fn mutated(seeds: &[Vec<u8>], words: &[&str], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = pick(seeds, rng).clone();
    for _ in 0..1 << rng.random_range(0..4) {
        let place = rng.random_range(0..=bytes.len());
        let end = (place + rng.random_range(0..40)).min(bytes.len());
        match rng.random_range(0..8) {
            0 => bytes.truncate(if rng.random_range(0..8) == 0 { place } else { bytes.len() }),
            1 if place < bytes.len() => bytes[place] ^= 1 << rng.random_range(0..8),
            2 => drop(bytes.splice(place..place, pick(words, rng).bytes())),
            3 => drop(bytes.splice(place..end, [])),
            4 => {
                let copy = bytes[place..end].to_vec();
                let to = rng.random_range(0..=bytes.len());
                drop(bytes.splice(to..to, copy));
            }
            5 => {
                let other = pick(seeds, rng);
                let from = rng.random_range(0..=other.len());
                let until = (from + rng.random_range(0..60)).min(other.len());
                drop(bytes.splice(place..end, other[from..until].iter().copied()));
            }
            6 => other_number(&mut bytes, place, rng),
            _ => drop(bytes.splice(place..end, pick(words, rng).bytes())),
        }
    }
    bytes
}

/// Replaces the first number after `place`.
fn other_number(bytes: &mut Vec<u8>, place: usize, rng: &mut ChaCha8Rng) {
    let Some(start) = bytes[place..].iter().position(u8::is_ascii_digit).map(|at| at + place) else { return };
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    drop(bytes.splice(start..start + length, pick(&NUMBERS, rng).bytes()));
}

/// JSON that is still JSON: up to three values of one of `seeds` replaced, removed, doubled or exchanged.
pub fn other_json(seeds: &[Value], rng: &mut ChaCha8Rng) -> Value {
    let mut value = pick(seeds, rng).clone();
    for _ in 0..rng.random_range(1..=3) {
        let donor = node(&mut pick(seeds, rng).clone(), rng).clone();
        let place = node(&mut value, rng);
        match (rng.random_range(0..4), &mut *place) {
            (0, Value::Array(items)) if !items.is_empty() => {
                let index = rng.random_range(0..items.len());
                if rng.random() {
                    drop(items.remove(index))
                } else {
                    items.insert(index, items[index].clone())
                }
            }
            (0, Value::Object(entries)) if !entries.is_empty() => {
                let name = entries.keys().nth(rng.random_range(0..entries.len())).cloned().expect("an entry");
                let entry = entries.remove(&name).expect("an entry");
                if rng.random() {
                    entries.insert(format!("{name}{}", rng.random_range(0..9)), entry);
                }
            }
            (0 | 1, _) => *place = donor,
            _ => *place = odd(rng),
        }
    }
    value
}

/// A value somewhere below `value`, or itself.
fn node<'a>(value: &'a mut Value, rng: &mut ChaCha8Rng) -> &'a mut Value {
    let inside = match value {
        Value::Array(items) => items.len(),
        Value::Object(entries) => entries.len(),
        _ => 0,
    };
    if inside == 0 || rng.random_range(0..6) == 0 {
        return value;
    }
    let index = rng.random_range(0..inside);
    match value {
        Value::Array(items) => node(&mut items[index], rng),
        Value::Object(entries) => node(entries.values_mut().nth(index).expect("an entry"), rng),
        _ => unreachable!("nothing inside"),
    }
}

fn odd(rng: &mut ChaCha8Rng) -> Value {
    match rng.random_range(0..8) {
        0 => Value::Null,
        1 => json!(rng.random::<bool>()),
        2 => json!(""),
        3 => json!([]),
        4 => json!({}),
        5 => json!(*pick(&["\u{0}", "é", "[UNK]", "##", "(a+)+$", "(", " ", "Ġ", "\u{1F600}", "a\nb"], rng)),
        _ => pick(&NUMBERS, rng).parse().map_or(Value::Null, Value::Number),
    }
}
