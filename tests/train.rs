//! Training: the optimizer against PyTorch's, the schedule, clipping, accumulation, precision, early stop.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use llm_course::Error;
use llm_course::data::{Corruption, MaskedDataset};
use llm_course::layers::{Mask, scaled_dot_product_attention};
use llm_course::models::{Bert, BertConfig, CellKind, CharLm, CharLmConfig, Gpt, GptConfig};
use llm_course::train::{AdamW, History, Precision, TrainConfig, Trainer, clip_grad_norm, two_at_a_time};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tch::{Device, Kind, Tensor, nn, no_grad};

/// `((a·i + c) mod n − n/2) / 2^k` as in `fixtures/make_adamw.py`.
fn residues(count: i64, a: i64, c: i64, n: i64, divisor: f64, kind: Kind) -> Tensor {
    let numbers: Vec<f64> = (0..count).map(|i| (((a * i + c) % n) - n / 2) as f64 / divisor).collect();
    Tensor::from_slice(&numbers).to_kind(kind)
}

fn fixture_gradient(like: &Tensor, step: i64) -> Tensor {
    let count = like.numel() as i64;
    let scale: Vec<f64> = (0..count).map(|i| if i % 3 == 0 { 2f64.powi(-30) } else { 1.0 }).collect();
    let gradient = residues(count, 7, 13 * step, 31, 16.0, like.kind());
    (gradient * Tensor::from_slice(&scale).to_kind(like.kind())).view_as(like)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

/// The largest difference to what `torch.optim.AdamW` made in 100 steps.
fn difference_to_pytorch(case: &Value, kind: Kind) -> f64 {
    let number = |name: &str| case[name].as_f64().expect("a number");
    let parameter = |shape: &[i64]| {
        let values = residues(shape.iter().product(), 5, 0, 17, 8.0, kind).view(shape);
        values.set_requires_grad(true)
    };
    let (matrix, vector) = (parameter(&[3, 4]), parameter(&[5]));
    let parameters = vec![matrix.shallow_clone(), vector.shallow_clone()];
    let betas = numbers(&case["betas"]);
    let mut optimizer =
        AdamW::new(parameters, (betas[0], betas[1]), number("weight_decay")).expect("parameters");
    for step in 0..100 {
        let loss = [&matrix, &vector].map(|p| (p * fixture_gradient(p, step)).sum(kind));
        (&loss[0] + &loss[1]).backward();
        optimizer.step(number("lr") * (1.0 - step as f64 / 128.0));
    }
    let truth = &case[if kind == Kind::Float { "float" } else { "double" }];
    let off = |p: &Tensor, name: &str| {
        let truth = Tensor::from_slice(&numbers(&truth[name])).view_as(p);
        (p.to_kind(Kind::Double) - truth).abs().max().double_value(&[])
    };
    off(&matrix, "matrix").max(off(&vector, "vector"))
}

#[test]
fn adamw_equals_pytorch_over_100_steps() {
    let fixture: Value = serde_json::from_str(include_str!("fixtures/adamw.json")).expect("JSON");
    let cases = fixture["cases"].as_array().expect("a list");
    assert_eq!((fixture["steps"].as_i64(), cases.len()), (Some(100), 2));
    for case in cases {
        let float = difference_to_pytorch(case, Kind::Float);
        assert!(float <= 1e-6, "f32: {float:e}");
        let double = difference_to_pytorch(case, Kind::Double);
        assert!(double <= 1e-12, "f64: {double:e}");
    }
}

#[test]
fn a_learning_rate_of_zero_changes_nothing() {
    let p = Tensor::from_slice(&[1.0f32, 0.0, -2.0]).view([3, 1]).set_requires_grad(true);
    let mut optimizer = AdamW::new(vec![p.shallow_clone()], (0.9, 0.99), 0.1).expect("a parameter");
    (&p * &p).sum(Kind::Float).backward();
    optimizer.step(0.0);
    assert_eq!(Vec::<f32>::try_from(p.view(-1)).expect("floats"), [1.0, 0.0, -2.0]);
}

#[test]
fn the_learning_rate_rises_and_follows_a_cosine() {
    let config = TrainConfig { steps: 110, warmup: 10, lr: 1.0, final_lr: 0.1, ..Default::default() };
    let near = |step: i64, want: f64| {
        let got = config.lr_at(step);
        assert!((got - want).abs() < 1e-12, "step {step}: {got}, not {want}");
    };
    near(0, 0.1);
    near(9, 1.0);
    near(10, 1.0);
    near(60, 0.55); // half-way: the mean of 1 and 0.1
    near(110, 0.1);
    near(1000, 0.1);
}

#[test]
fn clipping_bounds_the_norm_and_returns_the_one_before() {
    let parameters: Vec<Tensor> =
        [3.0, 4.0].iter().map(|&x| Tensor::from_slice(&[x]).set_requires_grad(true)).collect();
    let backward = || parameters.iter().for_each(|p| p.square().sum(Kind::Double).backward()); // gradient 2 x
    backward();
    assert!((clip_grad_norm(&parameters, 1.0).double_value(&[]) - 10.0).abs() < 1e-12);
    let after = clip_grad_norm(&parameters, f64::INFINITY).double_value(&[]);
    assert!((after - 1.0).abs() < 1e-6, "{after}");
    assert!((parameters[0].grad().double_value(&[0]) - 0.6).abs() < 1e-6, "the direction stays");
}

/// libtorch's generator belongs to the whole process: tests that train take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

const VOCAB: i64 = 11;

/// A small character model with its variables and 64 sequences of ids and targets, `[64, 8]`.
struct Task {
    vs: nn::VarStore,
    model: CharLm,
    ids: Tensor,
    targets: Tensor,
}

impl Task {
    fn new() -> Self {
        tch::manual_seed(3);
        let vs = nn::VarStore::new(Device::Cpu);
        let model = CharLm::new(&vs.root(), CharLmConfig::new(CellKind::Rnn, VOCAB, 16, 32));
        let ids = Tensor::randint(VOCAB, [64, 9], (Kind::Int64, Device::Cpu));
        let targets = (ids.narrow(1, 0, 8) * 3 + 1).remainder(VOCAB); // a rule to learn
        Self { vs, model, ids: ids.narrow(1, 0, 8), targets }
    }

    /// Mean loss of `count` sequences from number `first` on.
    fn loss(&self, first: i64, count: i64) -> Tensor {
        let ids = self.ids.narrow(0, first, count);
        let (logits, _) = self.model.forward(&ids, &self.model.zero_state(count));
        let targets = self.targets.narrow(0, first, count).reshape([-1]);
        logits.reshape([-1, VOCAB]).to_kind(Kind::Float).cross_entropy_for_logits(&targets)
    }

    fn fit(&self, config: TrainConfig, batch: i64) -> History {
        let loss = |number: i64| self.loss(number * batch % 64, batch);
        let validation = || self.loss(0, 64).double_value(&[]);
        Trainer::new(&self.vs, config).expect("a model").fit("task", loss, validation).expect("finite")
    }
}

const STEPS: TrainConfig = TrainConfig {
    steps: 60,
    accumulate: 1,
    lr: 1e-2,
    final_lr: 0.1,
    warmup: 5,
    weight_decay: 0.01,
    betas: (0.9, 0.99),
    clip: 1.0,
    precision: Precision::F32,
    validate_every: 20,
    patience: None,
};

#[test]
fn four_accumulated_batches_are_one_four_times_as_large() {
    let _turn = alone();
    let (whole, parts) = (Task::new(), Task::new());
    let large = whole.fit(TrainConfig { steps: 20, ..STEPS }, 64);
    let small = parts.fit(TrainConfig { steps: 20, accumulate: 4, ..STEPS }, 16);
    for (step, (a, b)) in large.train.iter().zip(&small.train).enumerate() {
        assert!((a - b).abs() < 1e-5, "step {step}: {a} and {b}");
    }
    assert!((large.grad_norm[0] - small.grad_norm[0]).abs() < 1e-5);
}

#[test]
fn bf16_rounds_products_and_learns_as_f32_does() {
    let _turn = alone();
    let (precise, rounded) = (Task::new(), Task::new());
    let f32 = precise.fit(STEPS, 16);
    let bf16 = rounded.fit(TrainConfig { precision: Precision::Bf16, ..STEPS }, 16);
    assert!(f32.final_validation() < 0.2 * f32.train[0], "it learns: {f32:?}");
    let apart = (f32.train[0] - bf16.train[0]).abs();
    assert!(apart > 0.0 && apart < 0.02, "the first losses differ by rounding only: {apart}");
    assert!((f32.final_validation() - bf16.final_validation()).abs() < 0.05);
    let master = rounded.vs.trainable_variables();
    assert!(
        master.iter().all(|p| p.kind() == Kind::Float && !p.grad().defined()),
        "a step clears the gradients"
    );
    Precision::Bf16.run(Device::Cpu, || rounded.loss(0, 16)).backward();
    assert!(master.iter().all(|p| p.grad().kind() == Kind::Float));
}

/// The loss of a small model of a family on fresh rows, trained in a precision.
fn loss_of_family(family: &str, precision: Precision, number: i64) -> f64 {
    tch::manual_seed(number);
    let vs = nn::VarStore::new(Device::Cpu);
    let mut rng = ChaCha8Rng::seed_from_u64(number as u64);
    // Ids 5 to 24; after x comes mostly 3x + 1, so that there is something to learn and a loss that remains.
    let mut row = || {
        let next =
            |x: &i64| Some(if rng.random_bool(0.8) { (3 * x + 1) % 20 } else { rng.random_range(0..20) });
        std::iter::successors(Some(number % 20), next).skip(1).take(17).map(|x| x + 5).collect::<Vec<i64>>()
    };
    let rows: Vec<Vec<i64>> = (0..256).map(|_| row()).collect();
    let ids = Tensor::from_slice(&rows.concat()).view([256, 17]);
    let part = |step: i64| ids.narrow(0, step % 12 * 16, 16);
    let steps = if family == "BERT" { 300 } else { 80 }; // its weights begin small
    let config = TrainConfig { steps, validate_every: steps, precision, ..STEPS };
    let fit = |loss: &dyn Fn(i64) -> Tensor, validation: &dyn Fn() -> Tensor| {
        let validation = || validation().double_value(&[]);
        let history =
            Trainer::new(&vs, config).expect("a model").fit(family, loss, validation).expect("finite");
        history.final_validation()
    };
    match family {
        "LSTM" => {
            let model = CharLm::new(&vs.root(), CharLmConfig::new(CellKind::Lstm, 25, 32, 64));
            let loss = |ids: &Tensor| {
                let (logits, _) = model.forward(&ids.narrow(1, 0, 16), &model.zero_state(ids.size()[0]));
                logits
                    .to_kind(Kind::Float)
                    .flatten(0, 1)
                    .cross_entropy_for_logits(&ids.narrow(1, 1, 16).reshape([-1]))
            };
            fit(&|step| loss(&part(step)), &|| loss(&ids.narrow(0, 192, 64)))
        }
        "GPT" => {
            let sizes =
                GptConfig { d_model: 32, d_ff: 64, n_layers: 2, block_size: 16, ..GptConfig::small(25) };
            let model = Gpt::new(&vs.root(), sizes).expect("sizes that fit");
            let loss = |ids: &Tensor| model.loss(&ids.narrow(1, 0, 16), &ids.narrow(1, 1, 16), false);
            fit(&|step| loss(&part(step)), &|| loss(&ids.narrow(0, 192, 64)))
        }
        _ => {
            let model = Bert::new(
                &vs.root(),
                BertConfig {
                    d_model: 32,
                    d_ff: 64,
                    n_heads: 2,
                    n_layers: 2,
                    block_size: 24,
                    dropout: 0.0,
                    ..BertConfig::tiny(25)
                },
            )
            .expect("sizes");
            let data = |rows: &[Vec<i64>]| {
                let data =
                    MaskedDataset::from_sequences(rows.to_vec(), 24, Corruption::new(25)).expect("rows");
                data.batches(16, number as u64).expect("rows")
            };
            let known = RefCell::new(data(&rows[..192]).endless()); // other words are hidden each time
            let fresh: Vec<_> = data(&rows[192..]).collect();
            let loss = |_| model.loss(&known.borrow_mut().next().expect("endless"), false);
            let on_fresh =
                || fresh.iter().map(|batch| model.loss(batch, false)).sum::<Tensor>() / fresh.len() as f64;
            fit(&loss, &on_fresh)
        }
    }
}

#[test]
fn three_families_learn_in_bf16_what_they_learn_in_f32() {
    let _turn = alone();
    // oneDNN has no LSTM in bf16 for a processor without such instructions.
    let with_lstm = Precision::fastest(Device::Cpu) == Precision::Bf16;
    for family in ["GPT", "BERT"].into_iter().chain(with_lstm.then_some("LSTM")) {
        let [f32, bf16] = [Precision::F32, Precision::Bf16]
            .map(|precision| [1, 2, 3].map(|number| loss_of_family(family, precision, number)));
        let mean = |of: [f64; 3]| of.iter().sum::<f64>() / 3.0;
        let noise = f32.iter().fold(0.0_f64, |most, loss| most.max((loss - mean(f32)).abs()));
        assert!(f32.iter().all(|loss| *loss < 2.7), "{family} learns: {f32:?}, chance is ln 20 = 3.0");
        assert!((mean(f32) - mean(bf16)).abs() < noise, "{family}: f32 {f32:?}, bf16 {bf16:?}");
    }
}

#[test]
fn the_fastest_precision_is_measured_once_and_used() {
    let fastest = Precision::fastest(Device::Cpu);
    assert_ne!(fastest, Precision::Auto);
    assert_eq!(fastest, Precision::fastest(Device::Cpu));
    let x = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
    let wanted = if fastest == Precision::Bf16 { Kind::BFloat16 } else { Kind::Float };
    assert_eq!(Precision::Auto.run(Device::Cpu, || x.matmul(&x)).kind(), wanted);
}

#[test]
fn bf16_ends_with_its_closure_even_in_a_panic() {
    let x = Tensor::ones([2, 2], (Kind::Float, Device::Cpu));
    let kind = || x.matmul(&x).kind();
    let inside = || Precision::Bf16.run(Device::Cpu, || Precision::Bf16.run(Device::Cpu, kind));
    assert_eq!((kind(), inside(), kind()), (Kind::Float, Kind::BFloat16, Kind::Float));
    let panicked = std::panic::catch_unwind(|| Precision::Bf16.run(Device::Cpu, || panic!("on purpose")));
    assert!(panicked.is_err());
    assert_eq!((Precision::F32.run(Device::Cpu, kind), kind()), (Kind::Float, Kind::Float));
}

/// The kernel of libtorch for bf16 would round its probabilities too, and take five times as long.
#[test]
fn attention_of_bf16_numbers_is_computed_in_f32_on_the_cpu() {
    tch::manual_seed(1);
    let leaf = || {
        let numbers = Tensor::randn([2, 2, 16, 8], (Kind::Float, Device::Cpu)).to_kind(Kind::BFloat16);
        numbers.to_kind(Kind::Float).set_requires_grad(true) // exact in both kinds
    };
    let leaves = [(); 3].map(|()| leaf());
    let out_and_gradients = |kind: Kind| {
        let [q, k, v] = leaves.each_ref().map(|leaf| leaf.to_kind(kind));
        let out = scaled_dot_product_attention(&q, &k, &v, &Mask::Causal, 0.0);
        let sum = out.to_kind(Kind::Float).square().sum(Kind::Float);
        (out, Tensor::run_backward(&[&sum], &leaves.each_ref(), false, false))
    };
    let (exact, gradients) = out_and_gradients(Kind::Float);
    let ((rounded, rounded_gradients), after) = Precision::Bf16
        .run(Device::Cpu, || (out_and_gradients(Kind::BFloat16), exact.matmul(&exact.transpose(-2, -1))));
    assert_eq!((rounded.kind(), after.kind()), (Kind::BFloat16, Kind::BFloat16));
    assert_eq!(rounded, exact.to_kind(Kind::BFloat16), "rounded once, at the end");
    for (a, b) in rounded_gradients.iter().zip(&gradients) {
        let difference = f64::try_from((a - b).norm() / b.norm()).unwrap();
        assert!(difference < 0.01, "{difference}"); // bf16 has 8 bits
    }
}

#[test]
fn bf16_sees_weights_that_changed() {
    let w = Tensor::ones([2, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let product = || Precision::Bf16.run(Device::Cpu, || w.matmul(&w).sum(Kind::Float).double_value(&[]));
    assert_eq!(product(), 8.0);
    let _ = no_grad(|| w.shallow_clone().fill_(2.0));
    assert_eq!(product(), 32.0);
}

#[test]
fn impatience_stops_and_brings_the_best_values_back() {
    let _turn = alone();
    let vs = nn::VarStore::new(Device::Cpu);
    let x = vs.root().zeros("x", &[1]);
    // The training loss pulls x up for ever; validation is best at x = 1.
    let config =
        TrainConfig { steps: 1000, warmup: 0, lr: 0.1, validate_every: 1, patience: Some(3), ..STEPS };
    let seen = Cell::new(0.0);
    let validation = || {
        seen.set(x.double_value(&[0]));
        (seen.get() - 1.0).powi(2)
    };
    let history = Trainer::new(&vs, config)
        .and_then(|mut trainer| trainer.fit("up", |_| -x.sum(Kind::Float), validation))
        .expect("finite");
    let best = history.validation.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(history.validations_since_best(), 3);
    assert_eq!(history.train.len(), history.validation.len());
    assert!(history.train.len() < 20, "stopped early: {}", history.train.len());
    assert_eq!((x.double_value(&[0]) - 1.0).powi(2), best);
    assert!(seen.get() > x.double_value(&[0]), "the last values were worse");
}

#[test]
fn a_loss_that_is_not_finite_is_reported_with_its_step() {
    let _turn = alone();
    let vs = nn::VarStore::new(Device::Cpu);
    let x = vs.root().ones("x", &[1]);
    let loss = |step: i64| if step == 7 { x.sum(Kind::Float) / 0.0 } else { x.sum(Kind::Float) };
    let mut trainer = Trainer::new(&vs, STEPS).expect("a variable");
    let error = trainer.fit("broken", loss, || 0.0).expect_err("infinite").to_string();
    assert!(error.starts_with("broken: the loss is inf at step 7:"), "{error}");
}

#[test]
fn frozen_variables_stay_as_they_are() {
    let _turn = alone();
    let task = Task::new();
    let embedding = task.vs.variables().remove("embedding.weight").expect("its name");
    let before = embedding.copy();
    let _ = embedding.set_requires_grad(false);
    let history = task.fit(TrainConfig { steps: 5, ..STEPS }, 16);
    assert_eq!(embedding, before);
    assert!(history.train[4] < history.train[0], "the others learn");
}

#[test]
fn wrong_numbers_are_refused_by_name() {
    let vs = nn::VarStore::new(Device::Cpu);
    let _x = vs.root().ones("x", &[1]);
    for (name, config) in [
        ("steps 0", TrainConfig { steps: 0, ..STEPS }),
        ("accumulate 0", TrainConfig { accumulate: 0, ..STEPS }),
        ("validate_every -1", TrainConfig { validate_every: -1, ..STEPS }),
        ("patience 0", TrainConfig { patience: Some(0), ..STEPS }),
        ("lr NaN", TrainConfig { lr: f64::NAN, ..STEPS }),
        ("clip 0", TrainConfig { clip: 0.0, ..STEPS }),
        ("betas", TrainConfig { betas: (1.0, 0.99), ..STEPS }),
    ] {
        let error = Trainer::new(&vs, config).expect_err(name).to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn a_history_survives_json() {
    let _turn = alone();
    let history = Task::new().fit(TrainConfig { steps: 5, ..STEPS }, 16);
    let json = serde_json::to_string(&history).expect("finite numbers");
    assert_eq!(serde_json::from_str::<History>(&json).expect("JSON"), history);
}

#[test]
fn training_depends_on_the_seed_only() {
    let _turn = alone();
    // Between two steps others may draw random numbers: validation must not change what is learnt.
    let train = |draws: i64| {
        let task = Task::new();
        tch::manual_seed(5);
        let loss =
            |number: i64| task.loss(number % 4 * 16, 16) * Tensor::rand([], (Kind::Float, Device::Cpu));
        let validation =
            || Tensor::rand([draws], (Kind::Double, Device::Cpu)).sum(Kind::Double).double_value(&[]);
        let config = TrainConfig { steps: 12, validate_every: 2, ..STEPS };
        Trainer::new(&task.vs, config)
            .and_then(|mut t| t.fit("seeded", loss, validation))
            .expect("finite")
            .train
    };
    assert_eq!(train(1), train(100));
}

#[test]
fn jobs_done_two_at_a_time_come_back_in_order_and_stop_at_the_first_error() {
    let running = AtomicUsize::new(0);
    let most = AtomicUsize::new(0);
    let work = |job: u64| {
        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20 + 10 * (job % 3))); // later jobs end before earlier ones
        running.fetch_sub(1, Ordering::SeqCst);
        if job == 99 { Err(Error::Input("job 99".to_string())) } else { Ok((job, tch::get_num_threads())) }
    };
    let done = two_at_a_time((0..9).collect(), work).expect("no job fails");
    let threads = |job| if job == 8 { 2 } else { 1 }; // the ninth has both cores
    assert_eq!(done, (0..9).map(|job| (job, threads(job))).collect::<Vec<_>>());
    let even = two_at_a_time((0..4).collect(), work).expect("no job fails");
    assert_eq!(even, (0..4).map(|job| (job, 1)).collect::<Vec<_>>());
    assert_eq!(most.load(Ordering::SeqCst), 2);
    let error = two_at_a_time(vec![1, 99, 2], work).expect_err("a job fails");
    assert!(error.to_string().contains("job 99"), "{error}");
    assert_eq!(two_at_a_time(Vec::new(), work).expect("nothing to do"), []);
}
