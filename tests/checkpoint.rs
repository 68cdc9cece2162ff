//! Checkpoints: an interrupted run repeats the uninterrupted one, and a damaged file is never believed.

use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

/// A run of a recurrent model with dropout, whose hidden state goes from batch to batch, over noisy ids. Only
/// a run from the beginning may depend on `seed`. Returns the history and the final variables.
fn train(
    seed: i64,
    checkpoint: Option<(&Path, i64)>,
    mut before: impl FnMut(i64),
) -> llm_course::Result<(History, Vec<Tensor>)> {
    tch::manual_seed(seed);
    let data = TextDataset::from_text("rhyme", &"one, two, buckle my shoe; ".repeat(40))?;
    let vs = nn::VarStore::new(Device::Cpu);
    let vocab_size = data.tokenizer.chars().len() as i64;
    let model = CharLm::new(&vs.root(), CharLmConfig::new(CellKind::Rnn, vocab_size, 8, 16));
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

/// In the child, trains slowly and saves after every step, until it is killed.
#[test]
fn a_run_killed_at_any_moment_repeats_the_one_that_was_not() {
    const CHILD: &str = "LLM_COURSE_TEST_CHECKPOINT";
    let _turn = alone();
    let slowly = |batch| std::thread::sleep(Duration::from_millis(if batch < 120 { 3 } else { 100 }));
    if let Some(path) = std::env::var_os(CHILD) {
        train(1, Some((path.as_ref(), 1)), slowly).expect("finite");
        return;
    }
    let whole = train(1, None, |_| {}).expect("finite");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.safetensors");
    let this = std::env::current_exe().expect("this test");
    let name = "a_run_killed_at_any_moment_repeats_the_one_that_was_not";
    for wait in [0, 17, 41, 5, 29] {
        let before = std::fs::read(&path).unwrap_or_default();
        let mut child = Command::new(&this);
        child.args(["--exact", name]).env(CHILD, &path).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = child.spawn().expect("this test starts");
        let begun = Instant::now();
        while std::fs::read(&path).unwrap_or_default() == before {
            assert!(begun.elapsed() < Duration::from_secs(60), "the child saves nothing");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().expect("SIGKILL");
        let status = child.wait().expect("a child");
        assert_eq!(status.signal(), Some(9), "it was still training");
    }
    let mut first = i64::MAX;
    assert_same(&train(55, Some((&path, 1)), |batch| first = first.min(batch)).expect("finite"), &whole);
    assert!((10..180).contains(&first), "five children did at least a step each: {first}");
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
fn two_hundred_damaged_files_are_refused_and_the_one_before_is_used() {
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
    for number in 0..200 {
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
}

#[test]
fn a_run_goes_on_from_the_one_before_if_the_newest_is_damaged() {
    let _turn = alone();
    let whole = train(1, None, |_| {}).expect("finite");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.safetensors");
    let crash = |batch| assert!(batch != 100, "crash");
    assert!(catch_unwind(AssertUnwindSafe(|| train(1, Some((&path, 5)), crash))).is_err());
    let length = std::fs::metadata(&path).expect("saved").len();
    let file = std::fs::File::options().write(true).open(&path).expect("saved");
    file.set_len(length / 2).expect("shorter");
    let mut first = i64::MAX;
    let second = train(2, Some((&path, 5)), |batch| first = first.min(batch)).expect("finite");
    assert_eq!(first, 90, "from step 45, not 50");
    assert_same(&second, &whole);
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
