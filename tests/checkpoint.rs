//! Checkpoints: an interrupted run repeats the uninterrupted one, and a damaged file is never believed.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use llm_course::data::{Split, TextDataset};
use llm_course::models::{CellKind, CharLm, CharLmConfig};
use llm_course::rand::{Rng, SeedableRng};
use llm_course::rand_chacha::ChaCha8Rng;
use llm_course::train::{Checkpoint, History, TrainConfig, Trainer, evaluate};
use tch::{Device, Kind, Tensor, nn};

/// libtorch's generator belongs to the whole process: tests that train take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn config() -> TrainConfig {
    let steps = TrainConfig { steps: 90, accumulate: 2, validate_every: 7, ..Default::default() };
    TrainConfig { lr: 1e-2, warmup: 10, patience: Some(9), ..steps }
}

fn data() -> llm_course::Result<TextDataset> {
    TextDataset::from_text("rhyme", &"one, two, buckle my shoe; ".repeat(40))
}

fn model(data: &TextDataset) -> (nn::VarStore, CharLm) {
    let vs = nn::VarStore::new(Device::Cpu);
    let vocab_size = data.tokenizer.chars().len() as i64;
    let model = CharLm::new(&vs.root(), CharLmConfig::new(CellKind::Rnn, vocab_size, 8, 16));
    (vs, model)
}

/// A run of a recurrent model with dropout, whose hidden state goes from batch to batch, over noisy ids. Only
/// a run from the beginning may depend on `seed`. Returns the history and the final variables.
fn train(
    seed: i64,
    checkpoint: Option<(&Path, i64)>,
    mut before: impl FnMut(i64),
) -> llm_course::Result<(History, Vec<Tensor>)> {
    tch::manual_seed(seed);
    let data = data()?;
    let (vs, model) = model(&data);
    let vocab_size = data.tokenizer.chars().len() as i64;
    let mut state = model.zero_state(4);
    let mut trainer = Trainer::new(&vs, config())?.with_state("hidden", &state.hidden);
    if let Some((path, every)) = checkpoint {
        trainer = trainer.resumable(path, every)?;
    }
    let mut batches = data.streams(Split::Train, 4, 6)?.endless().skip_to(trainer.next_batch());
    let loss_of = |logits: Tensor, targets: &Tensor| {
        logits.reshape([-1, vocab_size]).cross_entropy_for_logits(&targets.reshape([-1]))
    };
    let loss = |number: i64| {
        before(number);
        let batch = batches.next().expect("endless");
        if batch.first {
            state.zero();
        }
        let noise = Tensor::rand(batch.ids.size(), (Kind::Float, Device::Cpu)).lt(0.1);
        let ids = batch.ids.masked_fill(&noise, 0);
        let (logits, next) = model.forward(&ids, &state.copy());
        state.replace(&next);
        loss_of(logits.dropout(0.1, true), &batch.targets)
    };
    let validation = || {
        let streams = data.streams(Split::Validation, 2, 8).expect("long enough");
        evaluate(streams, |batch| loss_of(model.forward(&batch.ids, &model.zero_state(2)).0, &batch.targets))
            .loss
    };
    let history = trainer.fit("rhyme", loss, validation)?;
    Ok((history, vs.trainable_variables()))
}

/// Equal to the last bit, but for the time it took.
fn assert_same((history, variables): &(History, Vec<Tensor>), (other, others): &(History, Vec<Tensor>)) {
    let bits = |numbers: &[f64]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&history.train), bits(&other.train));
    assert_eq!(bits(&history.grad_norm), bits(&other.grad_norm));
    assert_eq!(bits(&history.validation), bits(&other.validation));
    assert_eq!(history.steps, other.steps);
    assert_eq!(variables, others);
}

#[test]
fn a_run_that_crashed_four_times_repeats_the_one_that_did_not() {
    let _turn = alone();
    let whole = train(1, None, |_| {}).expect("finite");
    assert!(whole.0.train[89] < 0.8 * whole.0.train[0], "it learns");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deep/down/run.safetensors");
    for (number, crash) in [3, 30, 31, 121].into_iter().enumerate() {
        let crash = |batch| assert!(batch != crash, "crash");
        let seed = 1 + 100 * number as i64; // after the first checkpoint the seed must not matter
        let seed = if path.exists() { seed } else { 1 };
        let crashed = catch_unwind(AssertUnwindSafe(|| train(seed, Some((&path, 5)), crash)));
        assert!(crashed.is_err(), "it crashes in batch {number}");
    }
    let step = Checkpoint::load(&path).expect("whole").metadata["run"].clone();
    assert!(step.starts_with("{\"step\":60,"), "the last crash was in step 60: {step}");
    assert_same(&train(77, Some((&path, 5)), |_| {}).expect("finite"), &whole);
    // A finished run is not trained again, and gives the same result.
    assert_same(&train(78, Some((&path, 5)), |_| panic!("trained again")).expect("finite"), &whole);
}

/// Tells the test, started anew in a child, where to train.
const CHILD: &str = "LLM_COURSE_TEST_CHECKPOINT";
/// Steps between the child's checkpoints.
const EVERY: &str = "LLM_COURSE_TEST_EVERY";

/// What a child does: trains until it is killed, and notes each batch that it begins, or why it had to stop.
fn child(path: &Path) {
    let every = std::env::var(EVERY).map_or(1, |every| every.parse().expect("a number"));
    let beside = |ending| File::options().append(true).create(true).open(path.with_added_extension(ending));
    let mut notes = beside("notes").expect("a folder to write in");
    let seed = if path.exists() { 99 } else { 1 }; // after the first checkpoint the seed must not matter
    let slowly = |batch| {
        let _ = writeln!(notes, "{batch}");
        std::thread::sleep(Duration::from_millis(if batch < 150 { 1 } else { 100 }));
    };
    if let Err(error) = train(seed, Some((path, every)), slowly) {
        write!(beside("error").expect("a folder to write in"), "{error}").expect("room for a line");
    }
}

/// The test `name` in a child, through `shell` if there are limits to set.
fn start(name: &str, path: &Path, every: i64, shell: &str) -> Child {
    let mut child = Command::new("sh");
    child.args(["-c", &format!("{shell} exec \"$0\" \"$@\"")]);
    child.arg(std::env::current_exe().expect("this test")).args(["--exact", name]);
    child.env(CHILD, path).env(EVERY, every.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
    child.spawn().expect("this test starts")
}

/// The batches that children have begun: how many, and the last one.
fn begun(path: &Path) -> (usize, i64) {
    let notes = std::fs::read_to_string(path.with_added_extension("notes")).unwrap_or_default();
    let whole = notes.rsplit_once('\n').map_or("", |(whole, _)| whole);
    (whole.lines().count(), whole.lines().last().map_or(0, |batch| batch.parse().expect("a number")))
}

/// Steps done at the newest whole checkpoint; 0 without any.
fn saved_steps(path: &Path) -> i64 {
    let Some(checkpoint) = Checkpoint::latest(path).expect("a whole one is always there") else { return 0 };
    let run: serde_json::Value = checkpoint.metadata["run"].parse().expect("JSON");
    run["step"].as_i64().expect("a number")
}

#[test]
fn a_run_killed_at_fifty_random_moments_repeats_the_one_that_was_not() {
    let _turn = alone();
    if let Some(path) = std::env::var_os(CHILD) {
        return child(path.as_ref());
    }
    let whole = train(1, None, |_| {}).expect("finite");
    let folder = tempfile::tempdir().expect("a folder");
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let (mut kills, mut in_a_save) = (0, 0);
    for every in [1, 1, 2, 3, 7] {
        let path = folder.path().join(format!("run{kills}.safetensors"));
        for _ in 0..10 {
            let (before, _) = begun(&path);
            let started = SystemTime::now();
            let name = "a_run_killed_at_fifty_random_moments_repeats_the_one_that_was_not";
            let mut child = start(name, &path, every, "");
            let batches = rng.random_range(1..15);
            while begun(&path).0 < before + batches {
                assert!(started.elapsed().expect("a clock") < Duration::from_secs(60), "it does not train");
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(Duration::from_micros(rng.random_range(0..6000)));
            child.kill().expect("SIGKILL");
            let status = child.wait().expect("a child");
            assert_eq!(status.signal(), Some(9), "it was still training");
            kills += 1;
            let written =
                std::fs::metadata(path.with_added_extension("tmp")).and_then(|file| file.modified());
            in_a_save += i32::from(written.is_ok_and(|written| written > started));
            let (steps, saved) = (begun(&path).1 / config().accumulate, saved_steps(&path));
            assert!(saved >= steps / every * every, "{saved} of {steps} steps saved, every {every}");
            assert!(saved <= steps + 1, "{saved} of {steps} steps saved");
        }
        let saved = saved_steps(&path);
        let mut first = i64::MAX;
        let seed = if saved == 0 { 1 } else { 55 };
        let last = train(seed, Some((&path, every)), |batch| first = first.min(batch)).expect("finite");
        assert_eq!(first, saved * config().accumulate);
        assert_same(&last, &whole);
    }
    println!("{kills} kills survived, {in_a_save} of them while a checkpoint was written");
    assert!(in_a_save > 0, "the moments are well chosen");
}

/// The kernel ends a write at a limit: with SIGXFSZ, which kills, or, where that is ignored, with an error as on a
/// full disk.
#[test]
fn a_write_that_ends_anywhere_leaves_the_checkpoint_before_it() {
    let _turn = alone();
    if let Some(path) = std::env::var_os(CHILD) {
        return child(path.as_ref());
    }
    let whole = train(1, None, |_| {}).expect("finite");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.safetensors");
    let crash = |batch| assert!(batch < 100, "crash");
    assert!(catch_unwind(AssertUnwindSafe(|| train(1, Some((&path, 5)), crash))).is_err());
    let length = std::fs::metadata(&path).expect("saved").len();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for number in 0..10 {
        let full = number % 2 == 0;
        let blocks = rng.random_range(1..length / 512); // POSIX counts in blocks of 512 bytes
        let ignore = if full { "trap '' XFSZ;" } else { "" };
        let shell = format!("ulimit -c 0; {ignore} ulimit -f {blocks};");
        let name = "a_write_that_ends_anywhere_leaves_the_checkpoint_before_it";
        let status = start(name, &path, 5, &shell).wait().expect("a child");
        let said = std::fs::read_to_string(path.with_added_extension("error")).unwrap_or_default();
        if full {
            assert!(
                status.success() && said.contains("the checkpoint is not saved: is there space left?"),
                "{said}"
            );
            assert!(!path.with_added_extension("tmp").exists(), "half a file fills a full disk");
            std::fs::remove_file(path.with_added_extension("error")).expect("just read");
        } else {
            assert_eq!(
                (status.signal(), said.as_str()),
                (Some(SIGXFSZ), ""),
                "killed in the middle of a write"
            );
            let partial = std::fs::metadata(path.with_added_extension("tmp")).expect("half a file").len();
            assert!(partial <= blocks * 512 && partial < length, "{partial} of {length}");
        }
        assert_eq!(saved_steps(&path), 50, "of 512-byte blocks there was room for {blocks}");
    }
    assert_same(&train(55, Some((&path, 5)), |_| {}).expect("finite"), &whole);
    println!("10 writes cut short: 5 killed the run, 5 gave an error as on a full disk");
}

const SIGXFSZ: i32 = 25;

#[test]
#[cfg(target_os = "linux")] // has /dev/full
fn a_full_disk_is_named_and_the_run_goes_on_when_there_is_room() {
    let _turn = alone();
    let whole = train(1, None, |_| {}).expect("finite");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.safetensors");
    let mut full_at = 0;
    let mut seed = 1;
    for batch in [40, 41, 99, 160] {
        // The next save goes to a device that has no room.
        let fill = |number| {
            if number == batch {
                std::os::unix::fs::symlink("/dev/full", path.with_added_extension("tmp")).expect("a link");
            }
        };
        let error = train(seed, Some((&path, 5)), fill).expect_err("no room").to_string();
        assert!(
            error.contains("No space left on device") && error.contains("is there space left?"),
            "{error}"
        );
        assert_eq!(saved_steps(&path), batch / 10 * 5, "the one before");
        (full_at, seed) = (full_at + 1, 33);
    }
    assert_same(&train(55, Some((&path, 5)), |_| {}).expect("finite"), &whole);
    println!("{full_at} full disks survived");
}

/// A damaged file becomes `.previous` at the next save, where the one lies from which the run went on.
#[test]
fn a_kill_between_two_renames_after_damage_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.safetensors");
    let mut checkpoint = varied();
    for step in ["1", "2", "3"] {
        checkpoint.metadata.insert("step".into(), step.into());
        checkpoint.save(&path).expect("a folder to write in");
        if step == "2" {
            std::fs::write(&path, "damaged").expect("a folder to write in");
        }
    }
    std::fs::rename(&path, path.with_added_extension("tmp")).expect("as before the second rename");
    let found = Checkpoint::latest(&path).expect("one is whole").expect("there are files");
    assert_eq!(found.metadata["step"], "3");
}

/// Nothing was whole before it, so there is nothing that only its user may delete.
#[test]
fn a_first_save_cut_short_is_no_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.safetensors");
    varied().save(&path).expect("a folder to write in");
    let whole = std::fs::read(&path).expect("saved");
    let partial = path.with_added_extension("tmp");
    std::fs::rename(&path, &partial).expect("as before the first rename");
    assert!(Checkpoint::latest(&path).expect("one is whole").is_some());
    for length in [0, 8, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&partial, &whole[..length]).expect("a folder to write in");
        assert!(Checkpoint::latest(&path).expect("never whole").is_none(), "{length} bytes");
        varied().save(&path).expect("half a file is no hindrance");
        assert!(Checkpoint::latest(&path).expect("whole").is_some() && !partial.exists());
        std::fs::remove_file(&path).expect("just saved");
    }
}

/// A checkpoint with every kind of number that models have.
fn varied() -> Checkpoint {
    let mut checkpoint = Checkpoint::default();
    let numbers = Tensor::arange(24, (Kind::Double, Device::Cpu)).view([4, 6]) - 7.5;
    for kind in [Kind::Float, Kind::Double, Kind::BFloat16, Kind::Half, Kind::Int64, Kind::Uint8, Kind::Bool]
    {
        checkpoint.tensors.insert(format!("{kind:?}"), numbers.abs().to_kind(kind));
    }
    checkpoint.tensors.insert("transposed".into(), numbers.tr());
    checkpoint.tensors.insert("scalar".into(), Tensor::from(f64::MIN_POSITIVE / 2.0));
    checkpoint.tensors.insert("empty".into(), Tensor::zeros([0, 3], (Kind::Float, Device::Cpu)));
    checkpoint.tensors.insert("sha256\":\"00".into(), Tensor::from(1i64));
    checkpoint.metadata.insert("text".into(), "\"sha256\":\"é\n".into());
    checkpoint
}

#[test]
fn what_is_saved_is_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("varied.safetensors");
    let saved = varied();
    saved.save(&path).expect("a folder to write in");
    let loaded = Checkpoint::load(&path).expect("whole");
    assert_eq!(loaded.metadata, saved.metadata);
    assert!(loaded.tensors.keys().eq(saved.tensors.keys()));
    for (name, tensor) in &saved.tensors {
        let other = &loaded.tensors[name];
        assert_eq!((other.kind(), other.size()), (tensor.kind(), tensor.size()), "{name}");
        assert_eq!(other, tensor, "{name}");
    }
    let nan = Tensor::from_slice(&[f64::NAN, f64::NEG_INFINITY, -0.0]);
    let saved = Checkpoint { tensors: [("odd".to_string(), nan)].into(), ..Default::default() };
    saved.save(&path).expect("a folder to write in");
    let odd = Vec::<f64>::try_from(&Checkpoint::load(&path).expect("whole").tensors["odd"]).expect("floats");
    assert!(odd[0].is_nan() && odd[1] == f64::NEG_INFINITY && odd[2].is_sign_negative());
    let names: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").flatten().collect();
    assert_eq!(names.len(), 2, "the new one and the one before, nothing else: {names:?}");
}

/// `bytes` with one random fault: a wrong bit, an end cut off, a stretch of other bytes, or something added.
fn damaged(bytes: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("eight")) as usize;
    let end = if rng.random() { header } else { bytes.len() };
    let place = rng.random_range(0..end);
    match rng.random_range(0..8) {
        0 => bytes.truncate(place),
        1 => bytes.extend((0..rng.random_range(1..100)).map(|_| 0)),
        2 => {
            let until = (place + rng.random_range(1..64)).min(bytes.len());
            bytes[place..until].iter_mut().for_each(|byte| *byte ^= rng.random_range(1..=255));
        }
        3 => drop(bytes.remove(place)),
        _ => bytes[place] ^= 1 << rng.random_range(0..8),
    }
    bytes
}

#[test]
fn five_hundred_damaged_files_are_refused_and_the_one_before_is_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.safetensors");
    let mut checkpoint = varied();
    for step in ["1", "2"] {
        checkpoint.metadata.insert("step".into(), step.into());
        checkpoint.save(&path).expect("a folder to write in");
    }
    let good = std::fs::read(&path).expect("saved");
    let step = || Checkpoint::latest(&path).map(|found| found.map(|found| found.metadata["step"].clone()));
    assert_eq!(step().expect("whole").as_deref(), Some("2"));
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for number in 0..500 {
        let bad = damaged(&good, &mut rng);
        assert_ne!(bad, good);
        std::fs::write(&path, bad).expect("a folder to write in");
        let error = Checkpoint::load(&path).expect_err(&format!("damage {number}")).to_string();
        assert!(error.contains("run.safetensors: damaged, or no checkpoint of this crate"), "{error}");
        assert_eq!(step().expect("the one before is whole").as_deref(), Some("1"));
    }
    std::fs::write(folder.path().join("run.safetensors.previous"), &good[1..]).expect("a folder to write in");
    let error = step().expect_err("both are damaged").to_string();
    assert!(error.ends_with("delete what is damaged to start anew"), "{error}");
    std::fs::remove_file(&path).expect("it is there");
    std::fs::write(folder.path().join("run.safetensors.previous"), &good).expect("a folder to write in");
    assert_eq!(step().expect("whole").as_deref(), Some("2"), "a crash between the two renames");
    println!("500 damaged checkpoints refused");
}

#[test]
fn a_run_goes_on_from_the_one_before_if_the_newest_is_damaged() {
    let _turn = alone();
    let whole = train(1, None, |_| {}).expect("finite");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.safetensors");
    let crash = |batch| assert!(batch != 100, "crash");
    assert!(catch_unwind(AssertUnwindSafe(|| train(1, Some((&path, 5)), crash))).is_err());
    let good =
        [path.clone(), path.with_added_extension("previous")].map(|file| std::fs::read(file).expect("saved"));
    std::fs::write(&path, &good[1]).expect("a folder to write in");
    let (step, weights) = resumed(&path);
    assert_eq!(step, 45);
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for number in 0..500 {
        std::fs::write(&path, damaged(&good[0], &mut rng)).expect("a folder to write in");
        assert_eq!(resumed(&path), (45, weights.clone()), "damage {number}: from step 45, not 50");
        if number % 50 == 0 {
            let second = train(2, Some((&path, 5)), |_| {}).expect("finite");
            assert_same(&second, &whole);
            std::fs::write(path.with_added_extension("previous"), &good[1]).expect("a folder to write in");
        }
    }
    println!("500 damaged runs resumed from the checkpoint before, 10 of them trained to the end");
}

/// The step at which a run goes on, and its variables and hidden state then.
fn resumed(path: &Path) -> (i64, Vec<Vec<f32>>) {
    let data = data().expect("long enough");
    let (vs, model) = model(&data);
    let state = model.zero_state(4);
    let trainer = Trainer::new(&vs, config()).expect("variables").with_state("hidden", &state.hidden);
    let trainer = trainer.resumable(path, 5).expect("the one before is whole");
    let tensors = vs.trainable_variables().into_iter().chain([state.hidden]);
    let numbers = tensors.map(|tensor| tensor.flatten(0, -1).try_into().expect("floats")).collect();
    (trainer.next_batch() / config().accumulate, numbers)
}

#[test]
fn another_model_or_configuration_is_refused_and_nothing_is_changed() {
    let _turn = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.safetensors");
    let steps = TrainConfig { steps: 4, validate_every: 2, ..Default::default() };
    let run = |size: i64, config: TrainConfig, state: bool| {
        let vs = nn::VarStore::new(Device::Cpu);
        let x = vs.root().ones("x", &[size]);
        let mut trainer = Trainer::new(&vs, config)?;
        if state {
            trainer = trainer.with_state("hidden", &x);
        }
        let trainer = trainer.resumable(&path, 2);
        assert!(trainer.is_ok() || x.eq_tensor(&x.ones_like()).all().int64_value(&[]) == 1);
        trainer?.fit("run", |_| x.square().sum(Kind::Float), || 0.0)
    };
    run(3, steps, false).expect("finite");
    for (words, result) in [
        ("it has no x [4] Float", run(4, steps, false)),
        ("lr: 0.5", run(3, TrainConfig { lr: 0.5, ..steps }, false)),
        ("it has no state/hidden", run(3, steps, true)),
    ] {
        let error = result.expect_err(words).to_string();
        assert!(error.contains(words) && error.contains("delete the file"), "{error}");
    }
    run(3, steps, false).expect("the same run");
    varied().save(&path).expect("a folder to write in");
    let error = run(3, steps, false).expect_err("not of a trainer").to_string();
    assert!(error.contains("it holds no training run"), "{error}");
}

#[test]
fn a_checkpoint_opens_as_a_file_of_weights() {
    let _turn = alone();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.safetensors");
    let steps = TrainConfig { steps: 4, ..Default::default() };
    let vs = nn::VarStore::new(Device::Cpu);
    let x = vs.root().ones("x", &[3]);
    let mut trainer = Trainer::new(&vs, steps).and_then(|t| t.resumable(&path, 2)).expect("a variable");
    trainer.fit("run", |_| x.square().sum(Kind::Float), || 0.0).expect("finite");
    let mut other = nn::VarStore::new(Device::Cpu);
    let y = other.root().zeros("x", &[3]);
    other.load(&path).expect("safetensors");
    assert_eq!(x, y);
    assert_ne!(y, y.ones_like());
}

#[test]
fn a_save_that_fails_leaves_the_old_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.safetensors");
    varied().save(&path).expect("a folder to write in");
    std::fs::create_dir(folder.path().join("run.safetensors.tmp")).expect("a folder in the way");
    let mut other = varied();
    other.metadata.clear();
    let error = other.save(&path).expect_err("in the way").to_string();
    assert!(error.contains("the checkpoint is not saved"), "{error}");
    assert_eq!(Checkpoint::load(&path).expect("whole").metadata, varied().metadata);
    let error = varied().save(path.join("below/a/file")).expect_err("no folder").to_string();
    assert!(error.contains("the checkpoint is not saved"), "{error}");
    let error = Checkpoint::default().save(&path).expect_err("nothing in it").to_string();
    assert!(error.contains("without tensors"), "{error}");
}

#[test]
fn streams_skip_to_any_batch() {
    let data = TextDataset::from_text("digits", &"0123456789".repeat(20)).expect("long enough");
    let streams = || data.streams(Split::Train, 2, 7).expect("long enough");
    let count = streams().batches();
    for number in 0..2 * count + 2 {
        let (mut taken, mut skipped) = (streams().endless(), streams().endless().skip_to(number));
        let (a, b) = (taken.nth(number as usize).expect("endless"), skipped.next().expect("endless"));
        assert_eq!((&a.ids, &a.targets, a.first), (&b.ids, &b.targets, b.first), "batch {number}");
        assert_eq!(streams().skip_to(number).count(), (count - number).max(0) as usize);
    }
}
