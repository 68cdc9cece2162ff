//! The checks of the attention lesson accept right answers in several forms and name the cause of classic wrong ones.

use llm_course::check::{self, Links, Verdict};
use tch::{Device, Kind, Tensor};

use crate::verdicts::{accepts, rejects};

const KIND: Kind = Kind::Double;

/// −∞ added where the mask is false.
fn closed(mask: &Tensor) -> Tensor {
    mask.to_kind(KIND).log()
}

#[test]
pub fn additive_score() {
    let exercise = check::additive_score_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |q, k, w| {
                let (queries, keys) = (q.size()[1], k.size()[1]);
                let wide = [q.size()[0], queries, keys, w.score.size()[0]];
                let q = q.unsqueeze(2).matmul(&w.query).expand(wide, false);
                let k = k.unsqueeze(1).matmul(&w.key).expand(wide, false);
                ((q + k).tanh() * &w.score).sum_dim_intlist(3, false, KIND)
            },
            |q, k, w| {
                let row = |i: i64| {
                    let one = q.narrow(1, i, 1).matmul(&w.query) + k.matmul(&w.key);
                    one.tanh().matmul(&w.score.unsqueeze(1)).squeeze_dim(2)
                };
                Tensor::stack(&(0..q.size()[1]).map(row).collect::<Vec<_>>(), 1)
            },
        ],
    );
    rejects(
        &exercise,
        &[
            ("tanh is missing", |q, k, w| {
                q.matmul(&w.query).matmul(&w.score).unsqueeze(2)
                    + k.matmul(&w.key).matmul(&w.score).unsqueeze(1)
            }),
            ("tanh comes after v", |q, k, w| {
                let q = q.matmul(&w.query).matmul(&w.score).unsqueeze(2);
                (q + k.matmul(&w.key).matmul(&w.score).unsqueeze(1)).tanh()
            }),
            ("query is not used", |q, k, w| {
                k.matmul(&w.key)
                    .tanh()
                    .matmul(&w.score)
                    .unsqueeze(1)
                    .expand([q.size()[0], q.size()[1], k.size()[1]], false)
                    + q.sum(KIND) * 0.0
            }),
            ("keys are not used", |q, k, w| {
                q.matmul(&w.query).tanh().matmul(&w.score).unsqueeze(2)
                    + k.sum_dim_intlist(2, false, KIND).unsqueeze(1) * 0.0
            }),
            ("query's matrix", |q, k, w| {
                (q.unsqueeze(2) + k.unsqueeze(1)).matmul(&w.query).tanh().matmul(&w.score)
            }),
            ("swapped: `query`", |q, k, w| {
                (k.matmul(&w.query).unsqueeze(1) + q.matmul(&w.key).unsqueeze(2)).tanh().matmul(&w.score)
            }),
            ("multiplied", |q, k, w| {
                (k.matmul(&w.key).unsqueeze(1) * q.matmul(&w.query).unsqueeze(2)).tanh().matmul(&w.score)
            }),
            ("without v", |q, k, w| {
                let sum = (q.matmul(&w.query).unsqueeze(2) + k.matmul(&w.key).unsqueeze(1)).tanh();
                sum.matmul(&w.score.ones_like())
            }),
            ("softmax is in it", |q, k, w| {
                let sum = (q.matmul(&w.query).unsqueeze(2) + k.matmul(&w.key).unsqueeze(1)).tanh();
                let e = sum.matmul(&w.score).exp();
                &e / e.sum_dim_intlist(-1, true, KIND)
            }),
            ("queries and keys are swapped", |q, k, w| {
                (q.matmul(&w.query).unsqueeze(1) + k.matmul(&w.key).unsqueeze(2)).tanh().matmul(&w.score)
            }),
            ("dimension is left", |q, k, w| {
                let sum = (q.matmul(&w.query).unsqueeze(2) + k.matmul(&w.key).unsqueeze(1)).tanh();
                sum.matmul(&w.score.unsqueeze(1))
            }),
            ("graph is cut", |q, k, w| {
                let (q, k) = (q.detach().matmul(&w.query.detach()), k.detach().matmul(&w.key.detach()));
                (q.unsqueeze(2) + k.unsqueeze(1)).tanh().matmul(&w.score.detach())
            }),
        ],
    );
}

#[test]
pub fn masked_softmax() {
    let exercise = check::masked_softmax_exercise();
    accepts(
        &exercise,
        &[
            exercise.reference,
            |s, m| (s + closed(m)).log_softmax(-1, KIND).exp(),
            |s, m| s.where_self(m, &Tensor::from(-1e9)).softmax(2, KIND),
            |s, m| s.masked_fill(&m.eq(0), f64::NEG_INFINITY).softmax(-1, KIND),
        ],
    );
    rejects(
        &exercise,
        &[
            ("along the queries", |s, m| (s + closed(m)).transpose(1, 2).softmax(-1, KIND).transpose(1, 2)),
            ("inverted", |s, m| (s + closed(&m.logical_not())).softmax(-1, KIND)),
            ("added as 0 and 1", |s, m| (m.to_kind(KIND) + s).softmax(2, KIND)),
            ("multiplied by the mask", |s, m| s.masked_fill(&m.logical_not(), 0.0).softmax(-1, KIND)),
            ("after the softmax", |s, m| s.softmax(-1, KIND).masked_fill(&m.logical_not(), 0.0)),
            ("no effect", |s, m| {
                let _ = s.masked_fill(&m.logical_not(), f64::NEG_INFINITY);
                s.log_softmax(-1, KIND).exp()
            }),
            ("overflow", |s, m| {
                let e = s.exp() * m;
                &e / e.sum_dim_intlist(-1, true, KIND)
            }),
            ("graph is cut", |s, m| (s.detach() + closed(m)).softmax(-1, KIND)),
            ("softmax is missing", |s, m| s.masked_fill(&m.eq(0), f64::NEG_INFINITY)),
            ("become −1", |s, m| s.where_self(m, &Tensor::from(-1.0)).softmax(-1, KIND)),
            ("in-place", |s, m| {
                s.shallow_clone().masked_fill_(&m.logical_not(), f64::NEG_INFINITY).softmax(-1, KIND)
            }),
            ("writes into its arguments", |s, m| {
                s.masked_fill(&m.shallow_clone().logical_not_(), f64::NEG_INFINITY).softmax(-1, KIND)
            }),
        ],
    );
}

#[test]
pub fn scaled_dot_product() {
    let exercise = check::scaled_dot_product_exercise();
    fn with(q: &Tensor, k: &Tensor, v: &Tensor, m: &Tensor, scale: f64) -> Tensor {
        Tensor::scaled_dot_product_attention(q, k, v, Some(m), 0.0, false, Some(scale), false)
    }
    fn d(q: &Tensor) -> f64 {
        *q.size().last().unwrap() as f64
    }
    fn scores(q: &Tensor, k: &Tensor) -> Tensor {
        (q * d(q).powf(-0.5)).matmul(&k.transpose(-2, -1))
    }
    accepts(
        &exercise,
        &[
            exercise.reference,
            |q, k, v, m| Tensor::scaled_dot_product_attention(q, k, v, Some(m), 0.0, false, None, false),
            |q, k, v, m| (scores(q, k) + closed(m)).softmax(-1, KIND).matmul(v),
        ],
    );
    rejects(
        &exercise,
        &[
            ("scale is missing", |q, k, v, m| with(q, k, v, m, 1.0)),
            ("square root is meant", |q, k, v, m| with(q, k, v, m, 1.0 / d(q))),
            ("multiplied by √d_k", |q, k, v, m| with(q, k, v, m, d(q).sqrt())),
            ("√d_model", |q, k, v, m| {
                let d_model = q.size()[1] * q.size()[3];
                with(q, k, v, m, (d_model as f64).powf(-0.5))
            }),
            ("values' width", |q, k, v, m| with(q, k, v, m, d(v).powf(-0.5))),
            ("number of keys", |q, k, v, m| with(q, k, v, m, (m.size()[3] as f64).powf(-0.5))),
            ("after the softmax", |q, k, v, m| with(q, k, v, m, 1.0) * d(q).powf(-0.5)),
            ("over the queries", |q, k, v, m| {
                (scores(q, k) + closed(m)).transpose(2, 3).softmax(3, KIND).transpose(2, 3).matmul(v)
            }),
            ("no effect", |q, k, v, _| {
                Tensor::scaled_dot_product_attention::<Tensor>(q, k, v, None, 0.0, false, None, false)
            }),
            ("inverted", |q, k, v, m| with(q, k, v, &m.logical_not(), d(q).powf(-0.5))),
            ("added as 0 and 1", |q, k, v, m| (m.to_kind(KIND) + scores(q, k)).softmax(-1, KIND).matmul(v)),
            ("multiplied by the mask", |q, k, v, m| {
                scores(q, k).masked_fill(&m.eq(0), 0.0).softmax(-1, KIND).matmul(v)
            }),
            ("sum to less than 1", |q, k, v, m| {
                scores(q, k).softmax(-1, KIND).masked_fill(&m.logical_not(), 0.0).matmul(v)
            }),
            ("values have no part", |q, k, _, m| (scores(q, k) + closed(m)).softmax(-1, KIND)),
            ("graph is cut", |q, k, v, m| with(&q.detach(), &k.detach(), &v.detach(), m, d(q).powf(-0.5))),
            ("panicked", |q, k, v, _| q.matmul(k).softmax(-1, KIND).matmul(v)),
        ],
    );
}

#[test]
pub fn alignment_error_rate() {
    let exercise = check::alignment_error_rate_exercise();
    fn pooled(links: &[Links]) -> Vec<(usize, (usize, usize))> {
        links.iter().enumerate().flat_map(|(i, links)| links.iter().map(move |&link| (i, link))).collect()
    }
    /// |A∩S|, |A∩P|, |A|, |S|, |P| over all sentences.
    fn sums(found: &[Links], sure: &[Links], possible: &[Links]) -> (f64, f64, f64, f64, f64) {
        let (a, s, p) = (pooled(found), pooled(sure), pooled(possible));
        let hits = |gold: &[(usize, (usize, usize))]| a.iter().filter(|l| gold.contains(l)).count() as f64;
        (hits(&s), hits(&p), a.len() as f64, s.len() as f64, p.len() as f64)
    }
    accepts(
        &exercise,
        &[exercise.reference, |a, s, p| {
            let (in_s, in_p, a, s, _) = sums(a, s, p);
            1.0 - (in_s + in_p) / (a + s)
        }],
    );
    rejects(
        &exercise,
        &[
            ("share that is right", |a, s, p| {
                let (in_s, in_p, a, s, _) = sums(a, s, p);
                (in_s + in_p) / (a + s)
            }),
            ("possible links are not used", |a, s, p| {
                let (in_s, _, a, s, _) = sums(a, s, p);
                1.0 - (in_s + in_s) / (a + s)
            }),
            ("only the possible links", |a, s, p| {
                let (_, in_p, a, s, _) = sums(a, s, p);
                1.0 - (in_p + in_p) / (a + s)
            }),
            ("in the denominator", |a, s, p| {
                let (in_s, in_p, a, _, p) = sums(a, s, p);
                1.0 - (in_s + in_p) / (a + p)
            }),
            ("precision", |a, s, p| {
                let (_, in_p, a, ..) = sums(a, s, p);
                (a - in_p) / a
            }),
            ("recall", |a, s, p| {
                let (in_s, _, _, s, _) = sums(a, s, p);
                (s - in_s) / s
            }),
            ("mean of the sentences", |a, s, p| {
                let rates = (0..a.len()).map(|i| {
                    let (in_s, in_p, a, s, _) = sums(&a[i..=i], &s[i..=i], &p[i..=i]);
                    1.0 - (in_s + in_p) / (a + s)
                });
                rates.sum::<f64>() / a.len() as f64
            }),
            ("whole numbers", |a, s, p| {
                let (in_s, in_p, a, s, _) = sums(a, s, p);
                let (hits, links) = ((in_s + in_p) as usize, (a + s) as usize);
                1.0 - (hits / links) as f64
            }),
            ("first sentence", |a, s, p| {
                let (in_s, in_p, a, s, _) = sums(&a[..1], &s[..1], &p[..1]);
                1.0 - (in_s + in_p) / (a + s)
            }),
        ],
    );
}

#[test]
pub fn mask_test() {
    let exercise = check::mask_test_exercise();
    /// Random q, k, v, a mask that hides the last two of five keys.
    fn case() -> (Tensor, Tensor, Tensor, Tensor) {
        let random = |rows: i64| Tensor::rand([1, rows, 4], (KIND, Device::Cpu));
        let mask = Tensor::from_slice(&[true, true, true, false, false]).reshape([1, 1, 5]);
        (random(2), random(5), random(5), mask)
    }
    fn changed(x: &Tensor, first: i64, rows: i64) -> Tensor {
        let x = x.copy();
        let _ = x.narrow(1, first, rows).g_add_scalar_(3.0);
        x
    }
    fn same(a: &Tensor, b: &Tensor) -> bool {
        a.allclose(b, 1e-5, 1e-8, false)
    }
    accepts(
        &exercise,
        &[exercise.reference, |attention| {
            let (q, k, v, mask) = case();
            let base = attention(&q, &k, &v, &mask);
            let short = attention(&q, &k.narrow(1, 0, 3), &v.narrow(1, 0, 3), &mask.narrow(2, 0, 3));
            let other = attention(&q, &changed(&k, 0, 1), &changed(&v, 0, 1), &mask);
            same(&base, &short) && !same(&base, &other)
        }],
    );
    rejects(
        &exercise,
        &[
            ("ignores its mask", |_| true),
            ("rejects a sound attention", |_| false),
            ("mask after the softmax", |attention| {
                let (q, k, v, mask) = case();
                same(&attention(&q, &k, &v, &mask), &attention(&q, &k, &changed(&v, 3, 2), &mask))
            }),
            ("multiplied by the mask", |attention| {
                let (q, k, v, mask) = case();
                same(&attention(&q, &k, &v, &mask), &attention(&q, &changed(&k, 3, 2), &v, &mask))
            }),
            ("hides everything", |attention| {
                let (q, k, v, mask) = case();
                same(
                    &attention(&q, &k, &v, &mask),
                    &attention(&q, &changed(&k, 3, 2), &changed(&v, 3, 2), &mask),
                )
            }),
            ("rejects a sound attention", |attention| {
                let (q, k, v, mask) = case();
                let scores = q.matmul(&k.transpose(-2, -1)) / 2.0;
                attention(&q, &k, &v, &mask) == (scores + closed(&mask)).softmax(-1, KIND).matmul(&v)
            }),
        ],
    );
}

#[test]
fn a_stub_is_not_attempted_and_the_reference_stands_in() {
    let exercise = check::masked_softmax_exercise();
    let stub: check::MaskedSoftmax = |_, _| todo!("Exercise 4.2");
    assert_eq!(exercise.judge(stub), Verdict::NotAttempted);
    let scores = Tensor::zeros([1, 1, 2], (KIND, Device::Cpu));
    let weights = exercise.check(stub)(&scores, &Tensor::from_slice(&[true, false]));
    assert_eq!(weights.double_value(&[0, 0, 0]), 1.0);
}
