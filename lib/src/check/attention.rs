//! Exercises of attention: additive score, masked softmax, the matrix form, alignment error rate, a mask's test.

use tch::{Device, Kind, Tensor};

use super::compare::{Cases, gradients, with_gradients};
use super::{Exercise, Mistake, Outcome};
use crate::metrics::alignment_error_rate as reference_rate;

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

/// The weights of an additive score, vᵀ·tanh(W·s + U·h) (Bahdanau, Cho & Bengio 2015, appendix A.1.2), as
/// matrices for rows: s·W and h·U.
#[derive(Debug)]
pub struct AdditiveWeights {
    /// W, `[dim, d]`: for the query.
    pub query: Tensor,
    /// U, `[dim, d]`: for the key.
    pub key: Tensor,
    /// v, `[d]`.
    pub score: Tensor,
}

/// Links between the words of a sentence and its translation: (source index, target index).
pub type Links = Vec<(usize, usize)>;
/// queries `[batch, query, dim]`, keys `[batch, key, dim]`, weights → scores `[batch, query, key]`.
pub type AdditiveScore = fn(&Tensor, &Tensor, &AdditiveWeights) -> Tensor;
/// scores `[batch, query, key]`, mask Bool that broadcasts to them, true = may attend → weights of the same shape.
pub type MaskedSoftmax = fn(&Tensor, &Tensor) -> Tensor;
/// q `[…, query, d_k]`, k `[…, key, d_k]`, v `[…, key, d_v]`, mask Bool that broadcasts to `[…, query, key]` → contexts
/// `[…, query, d_v]`.
pub type MatrixAttention = fn(&Tensor, &Tensor, &Tensor, &Tensor) -> Tensor;
/// For each sentence the links found, the sure and the possible gold links → alignment error rate.
pub type AlignmentErrorRate = fn(&[Links], &[Links], &[Links]) -> f64;
/// A test of an attention: `true` if its mask works.
pub type MaskTest = fn(MatrixAttention) -> bool;

/// A mask `[batch, query, key]` with true and false in every row, and no column all false (which would hide a softmax
/// over the wrong dimension behind NaN). More keys than queries.
fn random_mask(cases: &mut Cases, batch: i64, query: i64, key: i64) -> Tensor {
    let mask = cases.ids(batch * query * key, 2).reshape([batch, query, key]).to_kind(Kind::Bool);
    for column in 0..key {
        let _ = mask.select(2, column).select(1, column % query).fill_(1);
    }
    for row in 0..query {
        let _ = mask.select(1, row).select(1, row + 1).fill_(0);
    }
    cases.keep(mask)
}

fn hide(scores: &Tensor, mask: &Tensor) -> Tensor {
    scores.masked_fill(&mask.logical_not(), f64::NEG_INFINITY)
}

/// Checks the additive score; returns it if it is right, else the reference.
pub fn additive_score(answer: AdditiveScore) -> AdditiveScore {
    additive_score_exercise().check(answer)
}

/// W·s and U·h with every query beside every key: `[batch, query, 1, d]` and `[batch, 1, key, d]`.
fn projected(q: &Tensor, k: &Tensor, w: &AdditiveWeights) -> (Tensor, Tensor) {
    (q.matmul(&w.query).unsqueeze(2), k.matmul(&w.key).unsqueeze(1))
}

/// Exercise 4.1.
pub fn additive_score_exercise() -> Exercise<AdditiveScore> {
    fn right(q: &Tensor, k: &Tensor, w: &AdditiveWeights) -> Tensor {
        let (q, k) = projected(q, k, w);
        (q + k).tanh().matmul(&w.score)
    }
    Exercise {
        number: "4.1",
        reference: right,
        mistakes: vec![
            Mistake::new(
                "the tanh is missing: query and key would be added, and never compared",
                |q, k, w| {
                    let (q, k) = projected(q, k, w);
                    (q + k).matmul(&w.score)
                },
            ),
            Mistake::new(
                "the tanh comes after v: it belongs on the sum, before the product with v",
                |q, k, w| {
                    let (q, k) = projected(q, k, w);
                    (q + k).matmul(&w.score).tanh()
                },
            ),
            Mistake::new(
                "the query is not used: every step of the decoder would look at the same words",
                |q, k, w| {
                    let (q, k) = projected(q, k, w);
                    (q.zeros_like() + k).tanh().matmul(&w.score)
                },
            ),
            Mistake::new("the keys are not used: all words would get the same score", |q, k, w| {
                let (q, k) = projected(q, k, w);
                (q + k.zeros_like()).tanh().matmul(&w.score)
            }),
            Mistake::new(
                "the keys are multiplied by the query's matrix: each side has one of its own",
                |q, k, w| {
                    let (q, k) = (q.matmul(&w.query).unsqueeze(2), k.matmul(&w.query).unsqueeze(1));
                    (q + k).tanh().matmul(&w.score)
                },
            ),
            Mistake::new("W and U are swapped: `query` is for the queries, `key` for the keys", |q, k, w| {
                let (q, k) = (q.matmul(&w.key).unsqueeze(2), k.matmul(&w.query).unsqueeze(1));
                (q + k).tanh().matmul(&w.score)
            }),
            Mistake::new("query and key are multiplied: the additive score adds them", |q, k, w| {
                let (q, k) = projected(q, k, w);
                (q * k).tanh().matmul(&w.score)
            }),
            Mistake::new(
                "the numbers are summed without v: the product with v makes the score of d numbers",
                |q, k, w| {
                    let (q, k) = projected(q, k, w);
                    (q + k).tanh().sum_dim_intlist(-1, false, Kind::Double)
                },
            ),
            Mistake::new(
                "each of W·s and U·h has a tanh of its own: add first, then one tanh of the sum",
                |q, k, w| {
                    let (q, k) = projected(q, k, w);
                    (q.tanh() + k.tanh()).matmul(&w.score)
                },
            ),
            Mistake::new(
                "the softmax is in it already: return the scores, exercise 4.2 makes weights of them",
                |q, k, w| right(q, k, w).softmax(-1, Kind::Double),
            ),
            Mistake::new(
                "queries and keys are swapped: the scores are [batch, query, key]; unsqueeze(2) for the queries, unsqueeze(1) for the keys",
                |q, k, w| right(q, k, w).transpose(1, 2),
            ),
            Mistake::new("v's dimension is left: the scores are [batch, query, key]", |q, k, w| {
                right(q, k, w).unsqueeze(-1)
            }),
            Mistake::new(
                "the graph is cut: detach or no_grad inside the score stops the gradient",
                |q, k, w| right(q, k, w).detach(),
            ),
        ],
        run: |score, cases| {
            let (batch, query, key) = (cases.size(2, 4), cases.size(2, 4), cases.size(5, 7));
            let (dim, d) = (cases.size(3, 5), cases.size(6, 8));
            let q = cases.tensor(&[batch, query, dim], 1.0);
            let k = cases.tensor(&[batch, key, dim], 1.0);
            let w = AdditiveWeights {
                query: cases.tensor(&[dim, d], 1.0),
                key: cases.tensor(&[dim, d], 1.0),
                score: cases.tensor(&[d], 1.0),
            };
            let scores = score(&q, &k, &w);
            let names = [
                "the gradient of the queries",
                "the gradient of the keys",
                "the gradient of W",
                "the gradient of U",
                "the gradient of v",
            ];
            with_gradients("the scores", scores, &names, &[&q, &k, &w.query, &w.key, &w.score])
        },
    }
}

/// Checks the masked softmax; returns it if it is right, else the reference.
pub fn masked_softmax(answer: MaskedSoftmax) -> MaskedSoftmax {
    masked_softmax_exercise().check(answer)
}

/// Exercise 4.2.
pub fn masked_softmax_exercise() -> Exercise<MaskedSoftmax> {
    fn right(scores: &Tensor, mask: &Tensor) -> Tensor {
        hide(scores, mask).softmax(-1, Kind::Double)
    }
    Exercise {
        number: "4.2",
        reference: right,
        mistakes: vec![
            Mistake::new(
                "the weights sum to 1 along the queries: softmax over the last dimension, the keys",
                |s, m| hide(s, m).softmax(1, Kind::Double),
            ),
            Mistake::new(
                "the mask is inverted: true = may attend, so fill where it is false (logical_not)",
                |s, m| s.masked_fill(m, f64::NEG_INFINITY).softmax(-1, Kind::Double),
            ),
            Mistake::new(
                "the mask is added as 0 and 1: that favours real words a little; −∞ must reach the others",
                |s, m| (s + m).softmax(-1, Kind::Double),
            ),
            Mistake::new(
                "the scores are multiplied by the mask: a score of 0 still gets a weight, e⁰ = 1; fill with −∞",
                |s, m| (s * m).softmax(-1, Kind::Double),
            ),
            Mistake::new(
                "the mask comes after the softmax: the weights left sum to less than 1; mask the scores before it",
                |s, m| s.softmax(-1, Kind::Double) * m,
            ),
            Mistake::new(
                "the mask has no effect: masked_fill returns a new tensor, use what it returns",
                |s, _| s.softmax(-1, Kind::Double),
            ),
            Mistake::new(
                "masked scores become −1, which still gets a weight: fill with f64::NEG_INFINITY",
                |s, m| s.masked_fill(&m.logical_not(), -1.0).softmax(-1, Kind::Double),
            ),
            Mistake::new("the softmax is missing: these are the masked scores", hide),
            Mistake::new(
                "the graph is cut: detach or no_grad inside the softmax stops the gradient",
                |s, m| right(s, m).detach(),
            ),
        ],
        run: |softmax, cases| {
            let (batch, query, key) = (cases.size(2, 4), cases.size(2, 4), cases.size(5, 7));
            let scores = cases.tensor(&[batch, query, key], if cases.extreme() { 2000.0 } else { 2.0 });
            let mask = random_mask(cases, batch, query, key);
            let weights = softmax(&scores, &mask);
            let grad = gradients(&weights, &[&scores]).remove(0);
            Outcome::list([("the weights", weights), ("the gradient of the scores", grad)])
        },
    }
}

/// Checks scaled dot-product attention; returns it if it is right, else the reference.
pub fn scaled_dot_product(answer: MatrixAttention) -> MatrixAttention {
    scaled_dot_product_exercise().check(answer)
}

/// softmax(Q·Kᵀ / `divisor`)·V with the mask.
fn divided(q: &Tensor, k: &Tensor, v: &Tensor, mask: &Tensor, divisor: f64) -> Tensor {
    hide(&(q.matmul(&k.transpose(-2, -1)) / divisor), mask).softmax(-1, Kind::Double).matmul(v)
}

/// The scaled scores.
fn scaled(q: &Tensor, k: &Tensor) -> Tensor {
    q.matmul(&k.transpose(-2, -1)) / last(q).sqrt()
}

/// Numbers in a row.
fn last(x: &Tensor) -> f64 {
    x.size()[x.dim() - 1] as f64
}

fn scaled_attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: &Tensor) -> Tensor {
    divided(q, k, v, mask, last(q).sqrt())
}

/// Exercise 4.3.
pub fn scaled_dot_product_exercise() -> Exercise<MatrixAttention> {
    Exercise {
        number: "4.3",
        reference: scaled_attention,
        mistakes: vec![
            Mistake::new("the scale is missing: divide the scores by √d_k", |q, k, v, m| {
                divided(q, k, v, m, 1.0)
            }),
            Mistake::new("the scores are divided by d_k: its square root is meant", |q, k, v, m| {
                divided(q, k, v, m, last(q))
            }),
            Mistake::new("the scores are multiplied by √d_k: divide them", |q, k, v, m| {
                divided(q, k, v, m, 1.0 / last(q).sqrt())
            }),
            Mistake::new(
                "the scores are divided by √d_model, the width of all heads together: d_k is the last dimension of q",
                |q, k, v, m| divided(q, k, v, m, (q.size()[1] as f64 * last(q)).sqrt()),
            ),
            Mistake::new(
                "the scores are divided by the root of the values' width: d_k is the queries'",
                |q, k, v, m| divided(q, k, v, m, last(v).sqrt()),
            ),
            Mistake::new(
                "the scores are divided by the root of the number of keys: d_k is the last dimension of q",
                |q, k, v, m| divided(q, k, v, m, (k.size()[k.dim() - 2] as f64).sqrt()),
            ),
            Mistake::new("the scale comes after the softmax: divide the scores, before it", |q, k, v, m| {
                hide(&q.matmul(&k.transpose(-2, -1)), m).softmax(-1, Kind::Double).matmul(v) / last(q).sqrt()
            }),
            Mistake::new(
                "the softmax is over the queries: over the last dimension, the keys",
                |q, k, v, m| hide(&scaled(q, k), m).softmax(-2, Kind::Double).matmul(v),
            ),
            Mistake::new(
                "the mask has no effect: masked_fill returns a new tensor, use what it returns",
                |q, k, v, _| scaled(q, k).softmax(-1, Kind::Double).matmul(v),
            ),
            Mistake::new(
                "the mask is inverted: true = may attend, so fill where it is false",
                |q, k, v, m| hide(&scaled(q, k), &m.logical_not()).softmax(-1, Kind::Double).matmul(v),
            ),
            Mistake::new(
                "the mask is added as 0 and 1: −∞ must reach the scores that it hides",
                |q, k, v, m| (scaled(q, k) + m).softmax(-1, Kind::Double).matmul(v),
            ),
            Mistake::new(
                "the scores are multiplied by the mask: a score of 0 still gets a weight",
                |q, k, v, m| (scaled(q, k) * m).softmax(-1, Kind::Double).matmul(v),
            ),
            Mistake::new(
                "the mask comes after the softmax: the weights left sum to less than 1; mask the scores before it",
                |q, k, v, m| (scaled(q, k).softmax(-1, Kind::Double) * m).matmul(v),
            ),
            Mistake::new(
                "the values have no part: the context is weights·V, the weights alone are not enough",
                |q, k, _, m| hide(&scaled(q, k), m).softmax(-1, Kind::Double),
            ),
            Mistake::new("the softmax is missing: the weights of a query must sum to 1", |q, k, v, m| {
                (scaled(q, k) * m).matmul(v)
            }),
            Mistake::new("the graph is cut: detach or no_grad inside stops the gradient", |q, k, v, m| {
                scaled_attention(q, k, v, m).detach()
            }),
        ],
        run: |attention, cases| {
            let (batch, head, query) = (cases.size(2, 3), cases.size(2, 3), cases.size(2, 4));
            let (key, d_k, d_v) = (cases.size(5, 6), cases.size(7, 9), cases.size(10, 11));
            let q = cases.tensor(&[batch, head, query, d_k], 2.0);
            let k = cases.tensor(&[batch, head, key, d_k], 2.0);
            let v = cases.tensor(&[batch, head, key, d_v], 1.0);
            let mask = random_mask(cases, batch, query, key).unsqueeze(1);
            let contexts = attention(&q, &k, &v, &mask);
            let names = ["the gradient of q", "the gradient of k", "the gradient of v"];
            with_gradients("the contexts", contexts, &names, &[&q, &k, &v])
        },
    }
}

/// Checks the alignment error rate; returns the function if it is right, else the reference.
pub fn alignment_error_rate(answer: AlignmentErrorRate) -> AlignmentErrorRate {
    alignment_error_rate_exercise().check(answer)
}

/// Links in both lists.
fn shared(a: &[(usize, usize)], b: &[(usize, usize)]) -> f64 {
    a.iter().filter(|link| b.contains(link)).count() as f64
}

/// Sums over all sentences: |A∩S|, |A∩P|, |A|, |S|, |P|.
fn counts(found: &[Links], sure: &[Links], possible: &[Links]) -> [f64; 5] {
    let mut sums = [0.0; 5];
    for ((a, s), p) in found.iter().zip(sure).zip(possible) {
        let here = [shared(a, s), shared(a, p), a.len() as f64, s.len() as f64, p.len() as f64];
        sums.iter_mut().zip(here).for_each(|(sum, here)| *sum += here);
    }
    sums
}

/// Exercise 4.4.
pub fn alignment_error_rate_exercise() -> Exercise<AlignmentErrorRate> {
    Exercise {
        number: "4.4",
        reference: reference_rate,
        mistakes: vec![
            Mistake::new("this is the share that is right, not the error: 1 minus it", |a, s, p| {
                1.0 - reference_rate(a, s, p)
            }),
            Mistake::new(
                "the possible links are not used: a found link that is at least possible is no error",
                |a, s, p| {
                    let [sure_hits, _, found, sure, _] = counts(a, s, p);
                    1.0 - 2.0 * sure_hits / (found + sure)
                },
            ),
            Mistake::new(
                "only the possible links are counted among the hits: |A∩S| + |A∩P|",
                |a, s, p| {
                    let [_, hits, found, sure, _] = counts(a, s, p);
                    1.0 - 2.0 * hits / (found + sure)
                },
            ),
            Mistake::new("the possible links stand in the denominator: it is |A| + |S|", |a, s, p| {
                let [sure_hits, hits, found, _, possible] = counts(a, s, p);
                1.0 - (sure_hits + hits) / (found + possible)
            }),
            Mistake::new(
                "this is 1 − precision: links that were not found cost nothing; add |A∩S| and |S|",
                |a, s, p| {
                    let [_, hits, found, _, _] = counts(a, s, p);
                    1.0 - hits / found
                },
            ),
            Mistake::new(
                "this is 1 − recall: links found and wrong cost nothing; add |A∩P| and |A|",
                |a, s, p| {
                    let [sure_hits, _, _, sure, _] = counts(a, s, p);
                    1.0 - sure_hits / sure
                },
            ),
            Mistake::new(
                "this is the mean of the sentences' rates: add up over all sentences, then divide once",
                |a, s, p| {
                    let one = |i: usize| reference_rate(&a[i..=i], &s[i..=i], &p[i..=i]);
                    (0..a.len()).map(one).sum::<f64>() / a.len() as f64
                },
            ),
            Mistake::new(
                "this is a division of whole numbers, 0 where not all is right: make both f64 first",
                |a, s, p| {
                    let [sure_hits, hits, found, sure, _] = counts(a, s, p);
                    1.0 - ((sure_hits + hits) / (found + sure)).floor()
                },
            ),
            Mistake::new("only the first sentence is counted", |a, s, p| {
                reference_rate(&a[..1], &s[..1], &p[..1])
            }),
        ],
        run: |rate, cases| {
            let sentences = cases.size(2, 4);
            let (mut found, mut sure, mut possible) = (vec![], vec![], vec![]);
            for _ in 0..sentences {
                let (src, tgt) = (cases.size(3, 6), cases.size(3, 9));
                let gold: Vec<i64> = Vec::try_from(cases.ids(tgt, src)).expect("ids");
                let kinds: Vec<i64> = Vec::try_from(cases.ids(tgt, 6)).expect("ids");
                let links = |least: i64, most: i64| -> Links {
                    let of_kind = |&(t, _): &(usize, &i64)| (least..most).contains(&kinds[t]);
                    gold.iter().enumerate().filter(of_kind).map(|(t, &s)| (s as usize, t)).collect()
                };
                // kinds 0–2 sure, 3 possible, 4 and 5 without a link; kind 0 is not found
                sure.push([links(0, 3), vec![(0, tgt as usize)]].concat());
                possible.push([links(0, 4), vec![(0, tgt as usize)]].concat());
                found.push(links(1, 5));
            }
            found[0].push((0, 20));
            vec![Outcome::new("the rate", Tensor::from(rate(&found, &sure, &possible)))]
        },
    }
}

/// Checks a *test*: it must accept attention whose mask works and reject attention whose mask does not.
pub fn mask_test(answer: MaskTest) -> MaskTest {
    mask_test_exercise().check(answer)
}

/// What a learner's test has to tell apart, each with the message for a test that gets it wrong.
fn specimens() -> [(&'static str, MatrixAttention); 9] {
    [
        (
            "it rejects a sound attention: what the mask hides must not matter, what it shows must",
            scaled_attention,
        ),
        ("it rejects a sound attention, libtorch's: compare to 1e-6, not to the last digit", |q, k, v, m| {
            Tensor::scaled_dot_product_attention(q, k, v, Some(m), 0.0, false, None, false)
        }),
        ("it rejects a sound attention without the scale: ask only whether the mask works", |q, k, v, m| {
            divided(q, k, v, m, 1.0)
        }),
        (
            "it accepts an attention that ignores its mask: change the keys and values that the mask hides, and compare",
            |q, k, v, _| scaled(q, k).softmax(-1, Kind::Double).matmul(v),
        ),
        (
            "it accepts a mask after the softmax: hidden values have no weight there, hidden keys still take some; change the keys too",
            |q, k, v, m| (scaled(q, k).softmax(-1, Kind::Double) * m).matmul(v),
        ),
        ("it accepts a mask that is added as 0 and 1: hidden words still count a little", |q, k, v, m| {
            (scaled(q, k) + m).softmax(-1, Kind::Double).matmul(v)
        }),
        (
            "it accepts scores multiplied by the mask: hidden values still count, with the weight of a score of 0; change the values too",
            |q, k, v, m| (scaled(q, k) * m).softmax(-1, Kind::Double).matmul(v),
        ),
        ("it accepts an inverted mask: what is hidden must not matter", |q, k, v, m| {
            hide(&scaled(q, k), &m.logical_not()).softmax(-1, Kind::Double).matmul(v)
        }),
        (
            "it accepts an attention that hides everything: what the mask shows must matter; change a real word too",
            |q, k, v, m| (scaled(q, k) * 0.0).matmul(v) * m.any().to_kind(Kind::Double),
        ),
    ]
}

/// Exercise 4.5: the verdicts of the learner's test are what is compared.
pub fn mask_test_exercise() -> Exercise<MaskTest> {
    Exercise {
        number: "4.5",
        reference: |attention| {
            let ramp = |shift: f64| (Tensor::arange(12, DOUBLE) * 0.7 + shift).sin().reshape([1, 4, 3]);
            let (q, k, v) = (ramp(0.0).narrow(1, 0, 2), ramp(1.0), ramp(2.0));
            let mask = Tensor::from_slice(&[true, true, false, false]).reshape([1, 1, 4]);
            let base = attention(&q, &k, &v, &mask);
            let moves = |row: i64| {
                let change = Tensor::zeros([1, 4, 3], DOUBLE);
                let _ = change.select(1, row).fill_(1.0);
                let other = attention(&q, &(&k + &change), &(&v + &change), &mask);
                (other - &base).abs().max().double_value(&[]) > 1e-6
            };
            moves(0) && moves(1) && !moves(2) && !moves(3)
        },
        mistakes: vec![],
        run: |test, _| {
            specimens()
                .into_iter()
                .map(|(what, attention)| Outcome::new(what, Tensor::from(test(attention))))
                .collect()
        },
    }
}
