//! Sampling against the distribution it should leave; beam search against exhaustive search.

use llm_course::decode::{BeamSearch, Hypothesis, Sampling, beam_search, generate};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

/// `rows` distributions' logits over `vocab` ids, no two alike.
fn random_logits(rows: usize, vocab: usize) -> Vec<Vec<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    (0..rows).map(|_| (0..vocab).map(|_| rng.random_range(-4.0..4.0)).collect()).collect()
}

fn softmax(logits: &[f64], temperature: f64) -> Vec<f64> {
    let powers: Vec<f64> = logits.iter().map(|logit| (logit / temperature).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// `p` on the ids that `kept` chooses from their order by probability; 0 elsewhere, sum 1.
fn restrict(p: &[f64], kept: impl Fn(usize, f64) -> bool) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
    let (mut left, mut before) = (vec![0.0; p.len()], 0.0);
    for (rank, &id) in order.iter().enumerate() {
        if kept(rank, before) {
            left[id] = p[id];
        }
        before += p[id];
    }
    let sum: f64 = left.iter().sum();
    left.iter().map(|p| p / sum).collect()
}

/// What each kind of sampling must leave of `logits`.
fn expected(sampling: Sampling, logits: &[f64]) -> Vec<f64> {
    match sampling {
        Sampling::Greedy => restrict(&softmax(logits, 1.0), |rank, _| rank == 0),
        Sampling::Temperature(t) => softmax(logits, t),
        Sampling::TopK { k, temperature } => {
            restrict(&softmax(logits, temperature), |rank, _| rank < k as usize)
        }
        Sampling::TopP { p, temperature } => restrict(&softmax(logits, temperature), |_, before| before < p),
    }
}

fn kinds() -> Vec<Sampling> {
    let mut kinds = vec![Sampling::Greedy];
    for temperature in [0.3, 1.0, 2.5] {
        kinds.push(Sampling::Temperature(temperature));
        kinds.extend([1, 2, 7, 40, 1000].map(|k| Sampling::TopK { k, temperature }));
        kinds.extend([1e-9, 0.3, 0.9, 0.999].map(|p| Sampling::TopP { p, temperature }));
    }
    kinds
}

#[test]
fn distributions_to_1e_6() {
    let logits = random_logits(8, 40);
    for kind in [Kind::Float, Kind::Double] {
        let tensor = Tensor::from_slice2(&logits).to_kind(kind);
        for sampling in kinds() {
            let p = Vec::<Vec<f64>>::try_from(sampling.distribution(&tensor).to_kind(Kind::Double)).unwrap();
            for (got, logits) in p.iter().zip(&logits) {
                for (id, (got, want)) in got.iter().zip(expected(sampling, logits)).enumerate() {
                    assert!((got - want).abs() < 1e-6, "{sampling:?}, id {id}: {got} is not {want}");
                    assert_eq!(*got == 0.0, want == 0.0, "{sampling:?}, id {id}");
                }
            }
        }
    }
}

/// 100,000 draws: none outside the support, and χ² below its mean + 5 standard deviations.
#[test]
fn draws_follow_the_distribution() {
    llm_course::seed(1);
    let logits = random_logits(1, 12).remove(0);
    let draws = 100_000;
    let rows = Tensor::from_slice(&logits).repeat([draws, 1]);
    for sampling in [
        Sampling::Greedy,
        Sampling::Temperature(1.7),
        Sampling::TopK { k: 5, temperature: 1.3 },
        Sampling::TopP { p: 0.8, temperature: 1.3 },
    ] {
        let ids = Vec::<i64>::try_from(sampling.choose(&rows)).unwrap();
        let p = expected(sampling, &logits);
        let (mut chi_square, mut support) = (0.0, 0.0);
        for (id, &p) in p.iter().enumerate() {
            let count = ids.iter().filter(|&&drawn| drawn == id as i64).count() as f64;
            if p == 0.0 {
                assert_eq!(count, 0.0, "{sampling:?} drew id {id}, which it should have ruled out");
            } else {
                chi_square += (count - p * draws as f64).powi(2) / (p * draws as f64);
                support += 1.0;
            }
        }
        let freedom: f64 = support - 1.0;
        assert!(chi_square <= freedom + 5.0 * (2.0 * freedom).sqrt(), "{sampling:?}: χ² {chi_square}");
    }
}

#[test]
fn ties_with_the_kth_stay() {
    let logits = Tensor::from_slice2(&[[1.0f32, 2.0, 1.0, 0.0]]);
    let p = Sampling::TopK { k: 2, temperature: 1.0 }.distribution(&logits);
    assert_eq!(p.gt(0.0).int64_value(&[0, 0]), 1);
    assert_eq!(p.double_value(&[0, 0]), p.double_value(&[0, 2]));
    assert_eq!(p.double_value(&[0, 3]), 0.0);
}

#[test]
fn impossible_settings_are_refused() {
    let logits = Tensor::zeros([1, 4], (Kind::Float, tch::Device::Cpu));
    for sampling in [
        Sampling::Temperature(0.0),
        Sampling::Temperature(f64::NAN),
        Sampling::TopK { k: 0, temperature: 1.0 },
        Sampling::TopK { k: 2, temperature: -1.0 },
        Sampling::TopP { p: 0.0, temperature: 1.0 },
        Sampling::TopP { p: 1.1, temperature: 1.0 },
    ] {
        let refused = std::panic::catch_unwind(|| sampling.choose(&logits.shallow_clone()));
        assert!(refused.is_err(), "{sampling:?}");
    }
}

/// Logits of a model that looks at the whole prefix, not only at its last id.
fn whole_prefix_model(ids: &[i64], vocab: usize) -> Vec<f64> {
    let state = ids.iter().fold(1.0, |state: f64, &id| (state * 3.1 + id as f64 * 1.7).sin() * 2.0);
    (0..vocab).map(|id| 2.0 * (state * (1.0 + id as f64) + id as f64).cos()).collect()
}

/// `[sequences, time]` → `[sequences, time, vocab]`
fn batched(ids: &Tensor, vocab: usize) -> Tensor {
    let rows = Vec::<Vec<i64>>::try_from(ids).unwrap();
    let logits = rows.iter().map(|row| {
        let steps: Vec<Vec<f64>> =
            (1..=row.len()).map(|end| whole_prefix_model(&row[..end], vocab)).collect();
        Tensor::from_slice2(&steps)
    });
    Tensor::stack(&logits.collect::<Vec<_>>(), 0)
}

/// Every sequence that ends in `eos` or is `max_ids` long, by score.
fn exhaustive(prompt: &[i64], search: BeamSearch, vocab: usize) -> Vec<Hypothesis> {
    let (mut found, mut open) = (Vec::new(), vec![(Vec::new(), 0.0)]);
    while let Some((ids, log_prob)) = open.pop() {
        let p = softmax(&whole_prefix_model(&[prompt, &ids].concat(), vocab), 1.0);
        for (id, p) in p.iter().enumerate() {
            let (mut longer, log_prob, length) = (ids.clone(), log_prob + p.ln(), ids.len() + 1);
            let finished = search.eos == Some(id as i64);
            if !finished {
                longer.push(id as i64);
            }
            if finished || length == search.max_ids {
                let score = log_prob / ((5.0 + length as f64) / 6.0).powf(search.alpha);
                found.push(Hypothesis { ids: longer, finished, log_prob, score });
            } else {
                open.push((longer, log_prob));
            }
        }
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found
}

/// All sequences in the same order, scores to 1e-9.
#[test]
fn a_wide_beam_is_exhaustive_search() {
    for (vocab, max_ids) in [(2usize, 7), (3, 5), (4, 4)] {
        for alpha in [0.0, 0.6, 1.0, 2.0] {
            for eos in [None, Some(0), Some(vocab as i64 - 1)] {
                let search = BeamSearch { width: vocab.pow(max_ids as u32), max_ids, alpha, eos };
                let want = exhaustive(&[1, 0], search, vocab);
                let got = beam_search(&[1, 0], search, |ids| batched(ids, vocab));
                assert_eq!(got.len(), want.len(), "{search:?}");
                for (got, want) in got.iter().zip(&want) {
                    assert_eq!((&got.ids, got.finished), (&want.ids, want.finished), "{search:?}");
                    assert!((got.log_prob - want.log_prob).abs() < 1e-9, "{search:?}");
                    assert!((got.score - want.score).abs() < 1e-9, "{search:?}");
                }
            }
        }
    }
}

#[test]
fn a_narrow_beam_finds_no_more_than_there_is() {
    for width in [1, 2, 3, 5] {
        let search = BeamSearch { width, max_ids: 5, alpha: 0.6, eos: Some(2) };
        let all = exhaustive(&[1], search, 4);
        let found = beam_search(&[1], search, |ids| batched(ids, 4));
        assert!(found.len() <= width && found.windows(2).all(|pair| pair[0].score >= pair[1].score));
        for hypothesis in &found {
            let same = all.iter().find(|h| h.ids == hypothesis.ids && h.finished == hypothesis.finished);
            assert!((same.unwrap().score - hypothesis.score).abs() < 1e-9);
        }
    }
}

#[test]
fn width_one_is_greedy() {
    let search = BeamSearch { width: 1, max_ids: 9, alpha: 0.6, eos: None };
    let mut seen = vec![2, 1];
    let greedy = generate(&[2, 1], 9, Sampling::Greedy, |unseen| {
        let unseen = Vec::<i64>::try_from(unseen.view(-1)).unwrap();
        if seen != unseen {
            seen.extend(unseen);
        }
        batched(&Tensor::from_slice(&seen).unsqueeze(0), 5)
    });
    assert_eq!(beam_search(&[2, 1], search, |ids| batched(ids, 5))[0].ids, greedy);
}

/// A bigram model as a table of probabilities, one row for each last id.
fn table(ids: &Tensor, rows: &[[f64; 4]]) -> Tensor {
    Tensor::embedding(&Tensor::from_slice2(rows).log(), ids, -1, false, false)
}

/// After 0, id 1 is likelier than 2, but leads nowhere: 0.6 · 0.3 < 0.4 · 0.9.
#[test]
fn two_beams_avoid_a_garden_path() {
    let rows = [[0.0, 0.6, 0.4, 0.0], [0.3, 0.25, 0.25, 0.2], [0.05, 0.03, 0.02, 0.9], [0.25; 4]];
    let best = |width| {
        let search = BeamSearch { width, max_ids: 2, alpha: 0.0, eos: None };
        beam_search(&[0], search, |ids| table(ids, &rows)).remove(0)
    };
    assert_eq!(best(1).ids, [1, 0]);
    assert_eq!(best(2).ids, [2, 3]);
    assert!((best(2).log_prob - 0.36f64.ln()).abs() < 1e-9);
}

/// Id 3 ends. At once with probability 0.4; or after 1 and 2 with 0.6 · 0.9 · 0.7 = 0.378.
/// 0.378's logarithm wins as soon as it is divided by its length.
#[test]
fn length_normalisation_decides_for_the_longer() {
    let rows = [[0.0, 0.6, 0.0, 0.4], [0.0, 0.05, 0.9, 0.05], [0.1, 0.1, 0.1, 0.7], [0.25; 4]];
    let best = |alpha| {
        let search = BeamSearch { width: 3, max_ids: 6, alpha, eos: Some(3) };
        beam_search(&[0], search, |ids| table(ids, &rows)).remove(0)
    };
    let (short, long) = (best(0.0), best(1.0));
    assert_eq!((short.ids.len(), short.finished), (0, true));
    assert!((short.score - 0.4f64.ln()).abs() < 1e-9);
    assert_eq!((long.ids, long.finished), (vec![1, 2], true));
    assert!((long.score - 0.378f64.ln() / (8.0 / 6.0)).abs() < 1e-9);
}

/// What has ended is kept, never grown further, and no longer given to the model.
#[test]
fn finished_sequences_rest() {
    let rows = [[0.0, 0.1, 0.0, 0.9], [0.0, 0.9, 0.0, 0.1], [0.25; 4], [0.25; 4]];
    let search = BeamSearch { width: 2, max_ids: 4, alpha: 0.0, eos: Some(3) };
    let mut given = Vec::new();
    let found = beam_search(&[0], search, |ids| {
        given.push(ids.size()[0]);
        table(ids, &rows)
    });
    assert_eq!(given, [1, 1, 1, 1]);
    assert_eq!((found[0].ids.as_slice(), found[0].finished), (&[][..], true));
    assert_eq!((found[1].ids.as_slice(), found[1].finished), (&[1, 1, 1, 1][..], false));
}
