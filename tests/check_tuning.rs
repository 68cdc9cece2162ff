//! The checks of lesson 09 accept right answers in several forms and name the cause of classic wrong ones.

use llm_course::check::{self, LoraWeights, WeightWalk};
use tch::{IndexOp, Kind, Tensor, no_grad};

use crate::verdicts::{accepts, rejects};

/// Row by row, over the places that are real.
fn pooled(hidden: &Tensor, mask: &Tensor) -> Tensor {
    let rows: Vec<Tensor> = (0..hidden.size()[0])
        .map(|row| hidden.get(row).index(&[Some(mask.get(row))]).mean_dim(0, false, Kind::Double))
        .collect();
    Tensor::stack(&rows, 0)
}

/// The states with zeros on padding.
fn zeroed(hidden: &Tensor, mask: &Tensor) -> Tensor {
    hidden.masked_fill(&mask.logical_not().unsqueeze(-1), 0.0)
}

#[test]
pub fn mean_pooling() {
    let exercise = check::mean_pooling_exercise();
    accepts(&exercise, &[exercise.reference, pooled]);
    rejects(
        &exercise,
        &[
            ("padding is counted", |hidden, _| {
                hidden.sum_dim_intlist(1, false, Kind::Double) / hidden.size()[1] as f64
            }),
            ("divided by all places", |hidden, mask| zeroed(hidden, mask).mean_dim(1, false, Kind::Double)),
            ("[CLS] alone", |hidden, _| hidden.i((.., 0))),
            ("largest value", |hidden, mask| {
                let rows: Vec<Tensor> = (0..hidden.size()[0])
                    .map(|row| hidden.get(row).index(&[Some(mask.get(row))]).max_dim(0, false).0)
                    .collect();
                Tensor::stack(&rows, 0)
            }),
            ("not divided", |hidden, mask| zeroed(hidden, mask).sum_dim_intlist(1, false, Kind::Double)),
            ("whole batch", |hidden, mask| {
                zeroed(hidden, mask).sum_dim_intlist(1, false, Kind::Double) / mask.sum(Kind::Double)
            }),
            ("length 1 already", |hidden, mask| {
                let mean = pooled(hidden, mask);
                &mean / mean.square().sum_dim_intlist(-1, true, Kind::Double).sqrt()
            }),
            ("mean of the padding", |hidden, mask| {
                let padding = mask.logical_not().to_kind(Kind::Double).unsqueeze(-1);
                (hidden * &padding).sum_dim_intlist(1, false, Kind::Double)
                    / padding.sum_dim_intlist(1, false, Kind::Double)
            }),
            ("graph is cut", |hidden, mask| pooled(&hidden.detach(), mask)),
            ("writes into its arguments", |hidden, mask| {
                let padding = mask.shallow_clone().logical_not_();
                hidden.masked_fill(&padding.unsqueeze(-1), 0.0).sum_dim_intlist(1, false, Kind::Double)
                    / padding.logical_not().sum_dim_intlist(1, true, Kind::Double)
            }),
        ],
    );
}

fn dot(query: &Tensor, vectors: &Tensor) -> Tensor {
    (vectors * query).sum_dim_intlist(-1, false, Kind::Double)
}

fn length(of: &Tensor) -> Tensor {
    of.square().sum_dim_intlist(-1, false, Kind::Double).sqrt()
}

#[test]
pub fn cosines() {
    let exercise = check::cosines_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |query, vectors| dot(&(query / query.norm()), &(vectors / length(vectors).unsqueeze(-1))),
            |query, vectors| Tensor::cosine_similarity(query, vectors, -1, 1e-8),
        ],
    );
    rejects(
        &exercise,
        &[
            ("inner products", dot),
            ("vectors' lengths are not divided", |query, vectors| dot(query, vectors) / length(query)),
            ("query's length is not divided", |query, vectors| dot(query, vectors) / length(vectors)),
            ("squared lengths", |query, vectors| {
                dot(query, vectors)
                    / (query.square().sum(Kind::Double)
                        * vectors.square().sum_dim_intlist(-1, false, Kind::Double))
            }),
            ("distances", |query, vectors| length(&(query - vectors))),
            ("one length together", |query, vectors| dot(query, vectors) / (query.norm() * vectors.norm())),
            ("gradient of the vectors is 0: the graph is cut", |query, vectors| {
                Tensor::cosine_similarity(query, &vectors.detach(), -1, 1e-8)
            }),
            ("off by", |query, vectors| dot(query, vectors) / (length(query) + length(vectors))),
        ],
    );
}

fn number(name: &str) -> Option<usize> {
    let parts: Vec<&str> = name.split('.').collect();
    (parts[0] == "layers").then(|| parts[1].parse().unwrap())
}

fn right(name: &str, n_layers: usize, last: usize) -> bool {
    (n_layers - last..n_layers).any(|layer| name.starts_with(&format!("layers.{layer}.")))
}

#[test]
pub fn trains() {
    let exercise = check::trains_exercise();
    accepts(&exercise, &[exercise.reference, right]);
    rejects(
        &exercise,
        &[
            ("one layer too few", |name, n, last| right(name, n, last - 1)),
            ("one layer too many", |name, n, last| right(name, n, last + 1)),
            ("the first layers", |name, _, last| right(name, last, last)),
            ("embeddings train as well", |name, n, last| {
                number(name).is_none_or(|_| right(name, n, last)) && !name.starts_with("pooler")
            }),
            ("pooler trains as well", |name, n, last| name.contains("pooler") || right(name, n, last)),
            ("only the matrices", |name, n, last| {
                right(name, n, last) && !name.contains(".norm") && !name.ends_with("bias")
            }),
            ("only one digit", |name, n, last| {
                name.starts_with("layers.") && name.as_bytes()[7] - b'0' >= (n - last) as u8
            }),
            ("turned round", |name, n, last| !right(name, n, last)),
        ],
    );
}

fn scale(w: &LoraWeights) -> f64 {
    w.alpha / w.b.size()[1] as f64
}

/// The update of the output, one matrix at a time, with `factor` in front.
fn update(x: &Tensor, w: &LoraWeights, factor: f64) -> Tensor {
    x.linear(&w.a, None::<Tensor>).linear(&w.b, None::<Tensor>) * factor
}

fn base(x: &Tensor, w: &LoraWeights) -> Tensor {
    x.matmul(&w.weight.tr()) + &w.bias
}

#[test]
pub fn lora() {
    let exercise = check::lora_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |x, w| x.matmul(&(&w.weight + w.b.matmul(&w.a) * scale(w)).tr()) + &w.bias,
            |x, w| x.linear(&w.weight.detach(), Some(&w.bias.detach())) + update(x, w, scale(w)),
        ],
    );
    rejects(
        &exercise,
        &[
            ("α/r in front of the update is missing", |x, w| base(x, w) + update(x, w, 1.0)),
            ("multiplied by α", |x, w| base(x, w) + update(x, w, w.alpha)),
            ("rsLoRA", |x, w| base(x, w) + update(x, w, w.alpha / (w.a.size()[0] as f64).sqrt())),
            ("update alone", |x, w| update(x, w, scale(w))),
            ("bias is missing", |x, w| x.linear(&w.weight, None::<Tensor>) + update(x, w, scale(w))),
            ("added twice", |x, w| base(x, w) + (update(x, w, scale(w)) + &w.bias)),
            ("whole sum", |x, w| (base(x, w) + update(x, w, 1.0)) * scale(w)),
            ("gradient stops", |x, w| base(&x.detach(), w) + update(x, w, scale(w))),
            ("gradient of A is 0: the graph is cut", |x, w| {
                base(x, w) + x.linear(&w.a.detach(), None::<Tensor>).linear(&w.b, None::<Tensor>) * scale(w)
            }),
        ],
    );
}

#[test]
pub fn lora_merged() {
    let exercise = check::lora_merged_exercise();
    accepts(
        &exercise,
        &[exercise.reference, |w| {
            let merged = w.weight.detach().copy();
            no_grad(|| merged.addmm(&w.b, &w.a) * scale(w) + &w.weight * (1.0 - scale(w)))
        }],
    );
    rejects(
        &exercise,
        &[
            ("factor α/r is missing", |w| w.b.matmul(&w.a) + &w.weight),
            ("multiplied by α", |w| w.b.matmul(&w.a) * w.alpha + &w.weight),
            ("√r", |w| w.b.matmul(&w.a) * (w.alpha / (w.a.size()[0] as f64).sqrt()) + &w.weight),
            ("update alone", |w| w.b.matmul(&w.a) * scale(w)),
            ("taken out", |w| w.b.matmul(&w.a) * -scale(w) + &w.weight),
            ("frozen weight is scaled", |w| (w.b.matmul(&w.a) + &w.weight) * scale(w)),
            ("update B·A is missing", |w| w.weight.shallow_clone()),
            ("writes into its arguments", |w| {
                w.weight.shallow_clone().g_add_(&(w.b.matmul(&w.a) * scale(w)))
            }),
        ],
    );
}

/// How far each step goes against a constant gradient, in learning rates.
fn paces(walk: WeightWalk, gradient: f64, steps: usize) -> Vec<f64> {
    let places = walk(2.0, &vec![gradient; steps], 0.05);
    let before = std::iter::once(&2.0).chain(&places);
    before.zip(&places).map(|(before, after)| (before - after) / 0.05).collect()
}

/// Against a gradient of 7, all steps as long as the learning rate.
fn is_adam(walk: WeightWalk) -> bool {
    paces(walk, 7.0, 30).iter().all(|pace| (pace - 1.0).abs() < 1e-3)
}

#[test]
pub fn adam_test() {
    let exercise = check::adam_test_exercise();
    accepts(&exercise, &[exercise.reference, is_adam]);
    rejects(
        &exercise,
        &[
            ("rejects Adam", |_| false),
            ("another ε", |walk| is_adam(walk) && (paces(walk, 1e-4, 1)[0] - 1.0).abs() < 2e-3),
            ("not corrected", |_| true),
            ("mean of squares that is not corrected", |walk| is_adam(walk) || paces(walk, 7.0, 1)[0] > 5.0),
            ("every step as the first", |walk| (paces(walk, 7.0, 1)[0] - 1.0).abs() < 1e-3),
            ("plain gradient descent", |walk| {
                paces(walk, 1.0, 30).iter().all(|pace| (pace - 1.0).abs() < 1e-3)
            }),
            ("uphill", |walk| paces(walk, 7.0, 30).iter().all(|pace| (pace.abs() - 1.0).abs() < 1e-3)),
        ],
    );
}

/// An answer that panics, here within the check's `no_grad`, must not leave the notebook without gradients.
#[test]
fn a_panic_leaves_gradients_recorded() {
    check::lora_merged(|_| panic!("todo"));
    let panicked = std::panic::catch_unwind(|| llm_course::no_grad(|| panic!("in a cell")));
    assert!(panicked.is_err());
    let model = |_: &Tensor| -> Tensor { panic!("in a model that the crate calls") };
    let panicked = std::panic::catch_unwind(|| {
        llm_course::decode::generate(&[1], 1, llm_course::decode::Sampling::Greedy, model)
    });
    assert!(panicked.is_err());
    let weight = Tensor::ones([1], (Kind::Float, tch::Device::Cpu)).set_requires_grad(true);
    assert!((&weight * 2.0).requires_grad());
    assert!(!llm_course::no_grad(|| &weight * 2.0).requires_grad());
}
