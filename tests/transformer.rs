//! The encoder–decoder: padding and the future change nothing, steps equal the whole, and it learns to copy.

mod compare;

use llm_course::Error;
use llm_course::data::IGNORE;
use llm_course::layers::{NormOrder, Positions};
use llm_course::models::{Transformer, TransformerConfig};
use llm_course::train::{TrainConfig, Trainer};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

use compare::{assert_close, difference};

const PAD: i64 = 0;
const START: i64 = 1;
const END: i64 = 2;

/// Every combination of choices, small and in f64, with a name.
fn models() -> Vec<(String, VarStore, Transformer)> {
    let mut models = Vec::new();
    for order in [NormOrder::Pre, NormOrder::Post] {
        for positions in [Positions::Learned, Positions::Sinusoidal, Positions::Rotary] {
            for tied in [true, false] {
                tch::manual_seed(1);
                let mut vs = VarStore::new(Device::Cpu);
                let sizes =
                    TransformerConfig { d_model: 24, n_heads: 3, d_ff: 40, ..TransformerConfig::new(20, 30) };
                let config = TransformerConfig { block_size: 12, order, positions, tied, ..sizes };
                let model = Transformer::new(&vs.root(), config).unwrap();
                vs.double();
                models.push((format!("{order:?} {positions:?} tied {tied}"), vs, model));
            }
        }
    }
    models
}

/// Sources of 6, 3 and 1 ids, `[3, 6]`, and targets `[3, 5]`.
fn inputs() -> (Tensor, Tensor) {
    let src = [[3i64, 4, 5, 6, 7, 8], [9, 10, 11, PAD, PAD, PAD], [12, PAD, PAD, PAD, PAD, PAD]];
    let tgt = [[START, 5, 6, 7, 8], [START, 20, 21, 22, 23], [START, 9, 9, 9, 9]];
    (Tensor::from_slice2(&src), Tensor::from_slice2(&tgt))
}

#[test]
fn padding_never_changes_a_result() {
    for (name, vs, model) in models() {
        let (src, tgt) = inputs();
        let logits = model.forward(&src, &src.ne(PAD), &tgt, false);
        for (row, length) in [(0, 6), (1, 3), (2, 1)] {
            let alone = src.narrow(0, row, 1).narrow(1, 0, length);
            let own = model.forward(&alone, &alone.ne(PAD), &tgt.narrow(0, row, 1), false);
            assert_close(&format!("{name}, row {row} alone"), &own, &logits.narrow(0, row, 1), 1e-9);
        }
        // Other ids under the mask, and more padding, at either end of either side.
        let more = Tensor::cat(&[&src, &Tensor::full([3, 5], 17, (Kind::Int64, Device::Cpu))], 1);
        let mask = Tensor::cat(&[src.ne(PAD), Tensor::zeros([3, 5], (Kind::Bool, Device::Cpu))], 1);
        let longer = Tensor::cat(&[&tgt, &Tensor::full([3, 4], PAD, (Kind::Int64, Device::Cpu))], 1);
        let padded = model.forward(&more, &mask, &longer, false).narrow(1, 0, 5);
        assert_close(&format!("{name}, more padding"), &padded, &logits, 1e-9);

        let targets = tgt.full_like(3).masked_fill(&tgt.eq(9), IGNORE);
        let ignored = Tensor::full([3, 4], IGNORE, (Kind::Int64, Device::Cpu));
        let loss = model.loss(&src, &src.ne(PAD), &tgt, &targets, 0.0, false);
        let padded = model.loss(&more, &mask, &longer, &Tensor::cat(&[targets, ignored], 1), 0.0, false);
        assert_close("loss", &loss, &padded, 1e-9);
        let leaves = vs.trainable_variables();
        let gradients = |loss: Tensor| Tensor::run_backward(&[loss], &leaves, false, false);
        for (a, b) in gradients(loss).iter().zip(gradients(padded)) {
            assert_close(&format!("{name}, gradient"), &a.narrow(0, 0, b.size()[0]), &b, 1e-9);
        }
        assert!(
            difference(&model.forward(&src, &src.ge(0), &tgt, false), &logits) > 1e-3,
            "the mask is used"
        );
    }
}

#[test]
fn the_future_never_changes_logits() {
    for (name, _vs, model) in models() {
        let (src, tgt) = inputs();
        let mask = src.ne(PAD);
        let logits = model.forward(&src, &mask, &tgt, false);
        for t in 1..5 {
            let changed = tgt.copy();
            let _ = changed.narrow(1, t, 5 - t).fill_(29);
            let other = model.forward(&src, &mask, &changed, false);
            assert_eq!(
                difference(&other.narrow(1, 0, t), &logits.narrow(1, 0, t)),
                0.0,
                "{name}, before {t}"
            );
            assert!(difference(&other.narrow(1, t, 1), &logits.narrow(1, t, 1)) > 1e-4, "{name}, at {t}");
        }
    }
}

#[test]
fn steps_give_what_the_whole_target_gives() {
    for (name, _vs, model) in models() {
        let (src, tgt) = inputs();
        let mask = src.ne(PAD);
        let whole = model.forward(&src, &mask, &tgt, false);
        let mut state = model.encode(&src, &mask);
        assert!(state.is_empty());
        for t in 0..5 {
            let logits = model.decode_step(&tgt.select(1, t), &mut state);
            assert_close(&format!("{name}, step {t}"), &logits, &whole.select(1, t), 1e-9);
            assert_eq!(state.len(), t + 1);
            if t == 2 {
                // As beam search does: rows 2, 0 and 0 go on.
                let rows = Tensor::from_slice(&[2i64, 0, 0]);
                let mut beams = state.select(&rows);
                let next = tgt.select(1, 3).index_select(0, &rows);
                let logits = model.decode_step(&next, &mut beams);
                assert_close("beams", &logits, &whole.select(1, 3).index_select(0, &rows), 1e-9);
            }
        }
    }
}

#[test]
fn weights_for_plots_sum_to_one_over_real_ids() {
    let (_, _vs, model) = models().remove(0);
    let (src, tgt) = inputs();
    let mask = src.ne(PAD);
    let memory = model.encoder.forward(&src, &mask, false);
    let to_source = model.decoder.attention_weights(&tgt, &memory, &mask);
    let within = model.encoder.attention_weights(&src, &mask);
    assert_eq!((to_source.len(), to_source[0].size()), (2, vec![3, 3, 5, 6]));
    assert_eq!((within.len(), within[0].size()), (2, vec![3, 3, 6, 6]));
    for weights in to_source.iter().chain(&within) {
        let sums = weights.sum_dim_intlist(-1, false, None::<Kind>);
        assert_close("sums", &sums, &sums.ones_like(), 1e-12);
        let closed = weights.masked_select(&mask.logical_not().view([3, 1, 1, 6]));
        assert_eq!(closed.abs().max().double_value(&[]), 0.0);
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused_with_advice() {
    let refused = |config| {
        let vs = VarStore::new(Device::Cpu);
        match Transformer::new(&vs.root(), config) {
            Err(Error::Input(message)) => message,
            other => panic!("{other:?}"),
        }
    };
    let config = TransformerConfig::new(20, 30);
    assert!(refused(TransformerConfig { n_heads: 5, ..config }).contains("multiple of 2·n_heads = 10"));
    assert!(refused(TransformerConfig { n_layers: 0, ..config }).contains("at least 1"));
    assert!(refused(TransformerConfig { dropout: 1.0, ..config }).contains("[0, 1)"));
}

/// Sequences of 3 to 10 of 10 symbols, `[count, 10]` padded at the end.
fn sequences(count: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<i64>> {
    let one = |rng: &mut ChaCha8Rng| {
        let length = rng.random_range(3..=10);
        (0..length).map(|_| rng.random_range(3..13)).collect()
    };
    (0..count).map(|_| one(rng)).collect()
}

/// Rows filled up to 11 ids with `fill`.
fn rows(sequences: &[Vec<i64>], before: &[i64], after: &[i64], fill: i64) -> Tensor {
    let row = |sequence: &Vec<i64>| {
        let mut row = [before, sequence, after].concat();
        row.resize(11, fill);
        Tensor::from_slice(&row)
    };
    Tensor::stack(&sequences.iter().map(row).collect::<Vec<_>>(), 0)
}

#[test]
fn two_layers_learn_to_copy_exactly() {
    tch::manual_seed(1);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let held_out = sequences(1000, &mut rng);
    let unseen: std::collections::HashSet<_> = held_out.iter().cloned().collect();
    let vs = VarStore::new(Device::Cpu);
    let sizes =
        TransformerConfig { d_model: 64, d_ff: 128, block_size: 12, ..TransformerConfig::new(13, 13) };
    let model = Transformer::new(&vs.root(), TransformerConfig { dropout: 0.0, ..sizes }).unwrap();
    let steps = 1200;
    let config = TrainConfig { steps, lr: 2e-3, warmup: 100, validate_every: 200, ..Default::default() };
    let mut loss = |_| {
        let batch: Vec<_> = sequences(64, &mut rng).into_iter().filter(|s| !unseen.contains(s)).collect();
        let src = rows(&batch, &[], &[], PAD);
        let (tgt_in, tgt_out) = (rows(&batch, &[START], &[], PAD), rows(&batch, &[], &[END], IGNORE));
        model.loss(&src, &src.ne(PAD), &tgt_in, &tgt_out, 0.0, true)
    };
    let src = rows(&held_out, &[], &[], PAD);
    let exact = || {
        let copies = model.translate(&src, &src.ne(PAD), START, END, 12);
        copies.iter().zip(&held_out).filter(|(copy, sequence)| copy == sequence).count()
    };
    let mut trainer = Trainer::new(&vs, config).unwrap();
    trainer.fit("copy", &mut loss, || exact() as f64).unwrap();
    assert_eq!(exact(), 1000, "of 1,000 held-out sequences are copied exactly");
}
