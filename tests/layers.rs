//! What transformers are made of: by hand against libtorch's kernels, and against the definitions.

mod compare;

use std::panic::{AssertUnwindSafe, catch_unwind};

use llm_course::data::IGNORE;
use llm_course::layers::{
    Activation, Attention, AttentionConfig, Block, BlockConfig, DecoderBlock, Embedding, EmbeddingConfig,
    FeedForward, KvCache, Linear, LoraConfig, Mask, MultiHeadAttention, NormOrder, Positions, Rotary, Score,
    WeightInit, attention_by_hand, causal_mask, cross_entropy, key_mask, layer_norm, layer_norm_by_hand,
    padding_mask, scaled_dot_product_attention, sinusoidal, smoothed_cross_entropy,
};
use llm_course::models::{Bert, BertConfig, Gpt, GptConfig};
use tch::nn::{self, Module, VarStore};
use tch::{Device, IndexOp, Kind, Tensor};

use compare::{assert_close, difference};

const F64: (Kind, Device) = (Kind::Double, Device::Cpu);

/// The message of the panic that `f` must end in.
fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).err().expect("it must panic");
    *panic.downcast::<String>().expect("a message")
}

/// A random f64 tensor that collects gradients.
fn leaf(shape: &[i64]) -> Tensor {
    Tensor::randn(shape, F64).set_requires_grad(true)
}

/// Gradients of a random projection of `out`, the same for the same shape.
fn gradients(out: &Tensor, leaves: &[&Tensor]) -> Vec<Tensor> {
    let weights = (Tensor::arange(out.numel() as i64, F64) * 0.7).sin().view_as(out);
    Tensor::run_backward(&[(out * weights).sum(Kind::Double)], leaves, false, false)
}

/// The gradients by `leaves` agree to 1e-5 of their size, or of 1 if they are smaller.
fn assert_same_gradients(name: &str, own: &Tensor, plain: &Tensor, leaves: &[&Tensor]) {
    for (i, (a, b)) in gradients(own, leaves).iter().zip(gradients(plain, leaves)).enumerate() {
        let size = b.abs().max().double_value(&[]).max(1.0);
        assert_close(&format!("{name}, gradient {i}"), a, &b, 1e-5 * size);
    }
}

/// Masks of 3 sequences of 6 queries and 6 keys, of which 6, 4 and 1 are real.
fn masks() -> Vec<(&'static str, Mask)> {
    let ids = Tensor::from_slice2(&[[5i64, 6, 7, 8, 9, 5], [5, 6, 7, 8, 0, 0], [5, 0, 0, 0, 0, 0]]);
    let padding = || padding_mask(&ids, 0);
    vec![
        ("no mask", Mask::Full),
        ("causal", Mask::Causal),
        ("padding", Mask::Where(padding())),
        ("causal and padding", Mask::Where(causal_mask(6, 6, Device::Cpu).logical_and(&padding()))),
        ("looking ahead only", Mask::Where(causal_mask(6, 6, Device::Cpu).logical_not())), // none for the last
    ]
}

#[test]
fn attention_by_hand_equals_the_fused_kernel_forward_and_gradient() {
    tch::manual_seed(1);
    for (name, mask) in masks() {
        let [q, k, v] = [(); 3].map(|()| leaf(&[3, 2, 6, 4])); // [batch, head, time, d_head]
        let allowed = mask.to_bool(6, 6, Device::Cpu);
        let (by_hand, weights) = attention_by_hand(&q, &k, &v, allowed.as_ref());
        let fused = scaled_dot_product_attention(&q, &k, &v, &mask, 0.0);
        assert_close(name, &by_hand, &fused, 1e-9);
        let leaves = [&q, &k, &v];
        for (a, b) in gradients(&by_hand, &leaves).iter().zip(gradients(&fused, &leaves)) {
            assert_close(&format!("{name}, gradient"), a, &b, 1e-9);
        }

        let sums = weights.sum_dim_intlist(-1, false, None::<Kind>);
        let open =
            allowed.map_or_else(|| weights.ones_like(), |a| a.expand_as(&weights).to_kind(Kind::Double));
        let expected = open.amax([-1], false); // 1, or 0 where a query may attend to nothing
        assert_close(&format!("{name}, sums"), &sums, &expected, 1e-12);
        let closed: Tensor = &weights * (1.0 - open);
        assert_eq!(closed.abs().max().double_value(&[]), 0.0, "{name}: closed keys");
    }
}

#[test]
fn attention_of_a_worked_example() {
    // Scores √4·(ln 3)/√4 and 0: weights 3/4 and 1/4.
    let q = Tensor::from_slice(&[1.0, 0.0, 0.0, 0.0]).view([1, 1, 1, 4]);
    let k = Tensor::from_slice(&[2.0 * 3f64.ln(), 0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0]).view([1, 1, 2, 4]);
    let v = Tensor::from_slice(&[4.0, 0.0, 0.0, 8.0]).view([1, 1, 2, 2]);
    let (out, weights) = attention_by_hand(&q, &k, &v, None);
    assert_close("weights", &weights.view([2]), &Tensor::from_slice(&[0.75, 0.25]), 1e-12);
    assert_close("output", &out.view([2]), &Tensor::from_slice(&[3.0, 2.0]), 1e-12);
}

#[test]
fn masks_open_what_they_should() {
    let bits = |mask: Tensor| Vec::<i64>::try_from(mask.to_kind(Kind::Int64).view([-1])).unwrap();
    assert_eq!(causal_mask(2, 4, Device::Cpu).size(), [1, 1, 2, 4]);
    assert_eq!(bits(causal_mask(3, 3, Device::Cpu)), [1, 0, 0, 1, 1, 0, 1, 1, 1]);
    assert_eq!(bits(causal_mask(2, 4, Device::Cpu)), [1, 1, 1, 0, 1, 1, 1, 1], "the last two of four");
    let padding = padding_mask(&Tensor::from_slice2(&[[7i64, 8, 0], [7, 0, 0]]), 0);
    assert_eq!((padding.size(), padding.kind()), (vec![2, 1, 1, 3], Kind::Bool));
    assert_eq!(bits(padding), [1, 1, 0, 1, 0, 0]);
    assert_eq!(bits(key_mask(&Tensor::from_slice2(&[[1i64, 1, 0]]))), [1, 1, 0], "0/1 as in tokenizers");
    assert!(Mask::Full.to_bool(2, 2, Device::Cpu).is_none());
}

/// An attention layer in f64 with its store; biases are random too.
fn attention(d_model: i64, n_heads: i64, dropout: f64) -> (VarStore, MultiHeadAttention) {
    tch::manual_seed(2);
    let mut vs = VarStore::new(Device::Cpu);
    let init = WeightInit::Normal { std: 0.5, residual: 0.5 };
    let layer = MultiHeadAttention::new(vs.root() / "a", AttentionConfig { d_model, n_heads, dropout, init });
    vs.double();
    randomise(&vs);
    (vs, layer)
}

fn randomise(vs: &VarStore) {
    let mut variables: Vec<_> = vs.variables().into_iter().collect();
    variables.sort_by(|a, b| a.0.cmp(&b.0));
    tch::no_grad(|| {
        for (name, mut variable) in variables {
            let noise = Tensor::randn(variable.size(), F64) * 0.3;
            let gain = name.contains("norm") && name.ends_with("weight");
            variable.copy_(&if gain { noise + 1.0 } else { noise });
        }
    });
}

/// Multi-head attention from the paper's formula, head by head, with matrices cut out of the layer's.
fn heads_one_by_one(
    vs: &VarStore,
    x: &Tensor,
    memory: &Tensor,
    n_heads: i64,
    mask: Option<&Tensor>,
) -> Tensor {
    let v = vs.variables();
    let (qkv, qkv_bias) = (&v["a.qkv.weight"], &v["a.qkv.bias"]);
    let d_model = x.size()[2];
    let d_head = d_model / n_heads;
    let project = |x: &Tensor, part: i64, head: i64| {
        let rows = part * d_model + head * d_head..part * d_model + (head + 1) * d_head;
        x.matmul(&qkv.i(rows.clone()).tr()) + qkv_bias.i(rows) // [batch, time, d_head]
    };
    let head = |h: i64| {
        let (q, k, v) = (project(x, 0, h), project(memory, 1, h), project(memory, 2, h));
        let mut scores = q.matmul(&k.transpose(1, 2)) / (d_head as f64).sqrt();
        if let Some(mask) = mask {
            scores += (mask.squeeze_dim(1).to_kind(Kind::Double) - 1.0) * 1e9;
        }
        scores.softmax(-1, Kind::Double).matmul(&v)
    };
    let heads: Vec<Tensor> = (0..n_heads).map(head).collect();
    Tensor::cat(&heads, -1).matmul(&v["a.out.weight"].tr()) + &v["a.out.bias"]
}

#[test]
fn multi_head_attention_is_its_heads_side_by_side() {
    let (vs, layer) = attention(12, 3, 0.1);
    let x = leaf(&[3, 6, 12]);
    let parameters = vs.trainable_variables();
    let mut leaves: Vec<&Tensor> = parameters.iter().collect();
    leaves.push(&x);
    for (name, mask) in masks().into_iter().take(4) {
        let allowed = mask.to_bool(6, 6, Device::Cpu);
        let out = layer.forward(&x, &mask, false);
        let truth = heads_one_by_one(&vs, &x, &x, 3, allowed.as_ref());
        assert_close(name, &out, &truth, 1e-9);
        for (a, b) in gradients(&out, &leaves).iter().zip(gradients(&truth, &leaves)) {
            assert_close(&format!("{name}, gradient"), a, &b, 1e-9);
        }
        let (again, weights) = layer.forward_with_weights(&x, &mask);
        assert_close("with weights", &again, &out, 1e-9);
        assert_eq!(weights.size(), [3, 3, 6, 6]);
    }

    let memory = leaf(&[3, 4, 12]);
    let mask = Mask::Where(key_mask(&Tensor::from_slice2(&[[1i64, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])));
    let allowed = mask.to_bool(6, 4, Device::Cpu);
    let keys_values = layer.keys_values(&memory);
    let out = layer.cross(&x, &keys_values, &mask, false);
    let truth = heads_one_by_one(&vs, &x, &memory, 3, allowed.as_ref());
    assert_close("cross", &out, &truth, 1e-9);
    leaves.push(&memory);
    for (a, b) in gradients(&out, &leaves).iter().zip(gradients(&truth, &leaves)) {
        assert_close("cross, gradient", a, &b, 1e-9);
    }
    let (again, weights) = layer.cross_with_weights(&x, &keys_values, &mask);
    assert_close("cross with weights", &again, &truth, 1e-9);
    assert_eq!(weights.size(), [3, 3, 6, 4]);
    assert!(panic_of(|| attention(12, 5, 0.0)).contains("multiple of n_heads"));
}

#[test]
fn sinusoidal_positions_follow_the_formula() {
    let table = sinusoidal(50, 8, Device::Cpu);
    assert_eq!((table.size(), table.kind()), (vec![50, 8], Kind::Float));
    for t in [0, 1, 7, 49] {
        for i in 0..4 {
            let angle = t as f64 / 10_000f64.powf(2.0 * i as f64 / 8.0);
            assert!((table.double_value(&[t, 2 * i]) - angle.sin()).abs() < 1e-6);
            assert!((table.double_value(&[t, 2 * i + 1]) - angle.cos()).abs() < 1e-6);
        }
    }
    let product = |a: i64, b: i64| table.get(a).dot(&table.get(b)).double_value(&[]);
    assert!((product(3, 8) - product(40, 45)).abs() < 1e-5, "products depend on the distance");
    assert!(panic_of(|| sinusoidal(5, 3, Device::Cpu)).contains("even width"));
}

#[test]
fn rotary_scores_depend_on_the_distance_only() {
    tch::manual_seed(3);
    let rotary = Rotary::new(8, 100, Device::Cpu);
    let [q, k] = [(); 2].map(|()| Tensor::randn([1, 1, 1, 8], F64));
    let score =
        |m: i64, n: i64| (rotary.rotate(&q, m) * rotary.rotate(&k, n)).sum(Kind::Double).double_value(&[]);
    for (m, n) in [(5, 2), (17, 40), (9, 9)] {
        for shift in [1, 20, 59] {
            let moved = score(m + shift, n + shift);
            assert!((score(m, n) - moved).abs() < 1e-5, "{m}, {n} moved by {shift}: the table is f32");
        }
    }
    assert!((score(5, 2) - score(5, 3)).abs() > 1e-3, "another distance is another score");
    assert_close("distance 0", &(q.shallow_clone() * &k).sum(Kind::Double), &Tensor::from(score(9, 9)), 1e-5);

    // As complex numbers: (a + ib)·e^(itθ).
    let x = Tensor::randn([2, 3, 7, 8], F64);
    let turned = rotary.rotate(&x, 30);
    for (t, i) in [(0, 0), (4, 1), (6, 3)] {
        let angle = (30 + t) as f64 / 10_000f64.powf(2.0 * i as f64 / 8.0);
        let [a, b] = [i, i + 4].map(|i| x.double_value(&[1, 2, t, i]));
        let [c, d] = [i, i + 4].map(|i| turned.double_value(&[1, 2, t, i]));
        assert!((c - (a * angle.cos() - b * angle.sin())).abs() < 1e-6);
        assert!((d - (a * angle.sin() + b * angle.cos())).abs() < 1e-6);
    }
    let parts = [rotary.rotate(&x.narrow(2, 0, 3), 30), rotary.rotate(&x.narrow(2, 3, 4), 33)];
    assert_close("in two pieces", &Tensor::cat(&parts, 2), &turned, 0.0);
}

#[test]
fn rotary_attention_does_not_know_where_the_text_begins() {
    let (_vs, layer) = attention(12, 3, 0.0);
    let layer = layer.with_rotary(&Rotary::new(4, 20, Device::Cpu));
    let x = Tensor::randn([1, 5, 12], F64);
    let alone = layer.forward(&x, &Mask::Causal, false);
    let prefixed = Tensor::cat(&[&Tensor::randn([1, 7, 12], F64), &x], 1);
    let own = Tensor::arange(12, (Kind::Int64, Device::Cpu)).ge(7).view([1, 1, 1, 12]);
    let mask = Mask::Where(
        causal_mask(12, 12, Device::Cpu).logical_and(&own.logical_or(&own.transpose(2, 3).logical_not())),
    );
    let later = layer.forward(&prefixed, &mask, false).narrow(1, 7, 5);
    assert_close("seven positions later", &later, &alone, 1e-5);
    let by_hand = layer.forward_with_weights(&x, &Mask::Causal).0;
    assert_close("by hand and fused", &by_hand, &alone, 1e-9);
    let weights = |x: &Tensor| layer.forward_with_weights(x, &Mask::Full).1;
    assert!(difference(&weights(&x.flip([1])).flip([2, 3]), &weights(&x)) > 1e-3, "the order matters");
}

#[test]
fn layer_norm_by_hand_equals_libtorchs_forward_and_gradient() {
    tch::manual_seed(4);
    let mut vs = VarStore::new(Device::Cpu);
    let norm = layer_norm(vs.root() / "norm", 10, 1e-5);
    vs.double();
    randomise(&vs);
    let (weight, bias) = (norm.ws.as_ref().unwrap(), norm.bs.as_ref().unwrap());
    for scale in [1.0, 1e-3] {
        let x = (Tensor::randn([3, 4, 10], F64) * scale + 2.0).set_requires_grad(true);
        let (by_hand, fused) = (layer_norm_by_hand(&x, weight, bias, 1e-5), x.apply(&norm));
        assert_close("layer norm", &by_hand, &fused, 1e-9);
        let leaves = [&x, weight, bias];
        for (a, b) in gradients(&by_hand, &leaves).iter().zip(gradients(&fused, &leaves)) {
            assert_close("layer norm, gradient", a, &b, 1e-9 / scale);
        }
    }
}

#[test]
fn activations_and_feed_forward_follow_their_formulas() {
    let x = Tensor::linspace(-4.0, 4.0, 101, F64);
    let normal = ((&x / 2f64.sqrt()).erf() + 1.0) * 0.5;
    assert_close("GELU", &Activation::Gelu.apply(&x), &(&x * normal), 1e-12);
    let inner: Tensor = (&x + x.pow_tensor_scalar(3) * 0.044715) * (2.0 / std::f64::consts::PI).sqrt();
    let by_tanh = &x * 0.5 * (inner.tanh() + 1.0);
    assert_close("GELU by tanh", &Activation::GeluTanh.apply(&x), &by_tanh, 1e-12);
    assert_close("ReLU", &Activation::Relu.apply(&x), &x.clamp_min(0.0), 0.0);
    let gap = difference(&Activation::Gelu.apply(&x), &by_tanh);
    assert!((1e-5..1e-3).contains(&gap), "the two GELUs differ by {gap:e}");

    let mut vs = VarStore::new(Device::Cpu);
    let layer = FeedForward::new(vs.root() / "f", 6, 24, Activation::Gelu, WeightInit::Xavier);
    vs.double();
    randomise(&vs);
    let v = vs.variables();
    let x = Tensor::randn([2, 3, 6], F64);
    let inner = Activation::Gelu.apply(&(x.matmul(&v["f.up.weight"].tr()) + &v["f.up.bias"]));
    let truth = inner.matmul(&v["f.down.weight"].tr()) + &v["f.down.bias"];
    assert_close("feed-forward", &layer.forward(&x), &truth, 1e-9);
}

fn block_config(order: NormOrder, dropout: f64) -> BlockConfig {
    let init = WeightInit::Xavier;
    let activation = Activation::Gelu;
    BlockConfig { d_model: 12, n_heads: 3, d_ff: 20, dropout, order, activation, eps: 1e-5, init }
}

/// A part of a block by its name, from the block's own variables.
fn part(vs: &VarStore, name: &str, x: &Tensor) -> Tensor {
    let v = vs.variables();
    let get = |end: &str| &v[&format!("b.{name}{end}")];
    if name.starts_with("norm") {
        return layer_norm_by_hand(x, get(".weight"), get(".bias"), 1e-5);
    }
    let up = Activation::Gelu.apply(&x.linear(get(".up.weight"), Some(get(".up.bias"))));
    up.linear(get(".down.weight"), Some(get(".down.bias")))
}

#[test]
fn blocks_put_the_norm_where_they_say() {
    for order in [NormOrder::Pre, NormOrder::Post] {
        tch::manual_seed(5);
        let mut vs = VarStore::new(Device::Cpu);
        let block = Block::new(vs.root() / "b", block_config(order, 0.1));
        vs.double();
        randomise(&vs);
        // The block's attention alone, from a second store that shares the variables.
        let mut other = VarStore::new(Device::Cpu);
        let config = AttentionConfig { d_model: 12, n_heads: 3, dropout: 0.0, init: WeightInit::Xavier };
        let attention = MultiHeadAttention::new(other.root() / "b" / "attention", config);
        other.double();
        let all = vs.variables();
        tch::no_grad(|| other.variables().iter_mut().for_each(|(name, v)| v.copy_(&all[name])));

        let x = Tensor::randn([2, 5, 12], F64);
        let attend = |x: &Tensor| attention.forward(x, &Mask::Causal, false);
        let truth = match order {
            NormOrder::Pre => {
                let x = &x + attend(&part(&vs, "norm1", &x));
                &x + part(&vs, "feed_forward", &part(&vs, "norm2", &x))
            }
            NormOrder::Post => {
                let x = part(&vs, "norm1", &(&x + attend(&x)));
                part(&vs, "norm2", &(&x + part(&vs, "feed_forward", &x)))
            }
        };
        let out = block.forward(&x, &Mask::Causal, false);
        assert_close(&format!("{order:?}"), &out, &truth, 1e-9);
        assert_close("with weights", &block.forward_with_weights(&x, &Mask::Causal).0, &truth, 1e-9);
    }
}

/// The plain form of a block is the one that also gives the weights.
#[test]
fn blocks_with_a_backward_pass_of_their_own_equal_the_plain_form() {
    tch::manual_seed(12);
    let keys = Mask::Where(key_mask(&Tensor::from_slice2(&[
        [1i64, 1, 1, 1, 1, 1, 1],
        [1, 1, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ])));
    let rows = Mask::Where(causal_mask(7, 7, Device::Cpu));
    for order in [NormOrder::Pre, NormOrder::Post] {
        for activation in [Activation::Relu, Activation::Gelu, Activation::GeluTanh] {
            for (mask, turned) in [
                (&Mask::Full, false),
                (&Mask::Causal, false),
                (&Mask::Causal, true),
                (&keys, false),
                (&rows, false),
            ] {
                let vs = VarStore::new(Device::Cpu);
                let block = Block::new(vs.root(), BlockConfig { activation, ..block_config(order, 0.0) });
                let block = if turned { block.with_rotary(&Rotary::new(4, 7, Device::Cpu)) } else { block };
                randomise(&vs);
                let name = format!("{order:?}, {activation:?}, {mask:?}, turned {turned}");
                let x = (Tensor::randn([3, 7, 12], (Kind::Float, Device::Cpu)) * 3.0).set_requires_grad(true);
                let weights = vs.trainable_variables();
                let leaves: Vec<&Tensor> = std::iter::once(&x).chain(&weights).collect();
                let (own, plain) = (block.forward(&x, mask, true), block.forward_with_weights(&x, mask).0);
                assert_close(&name, &own, &plain, 5e-6);
                assert_same_gradients(&name, &own, &plain, &leaves);
            }
        }
    }
}

#[test]
fn decoder_blocks_with_a_backward_pass_of_their_own_equal_the_plain_form() {
    tch::manual_seed(14);
    let options = (Kind::Float, Device::Cpu);
    let mask = Mask::Where(key_mask(&Tensor::from_slice2(&[[1i64, 1, 1, 1], [1, 1, 0, 0]])));
    for order in [NormOrder::Pre, NormOrder::Post] {
        let vs = VarStore::new(Device::Cpu);
        let block = DecoderBlock::new(vs.root(), block_config(order, 0.0)).with_rotary(&Rotary::new(
            4,
            9,
            Device::Cpu,
        ));
        randomise(&vs);
        let (x, memory) =
            (Tensor::randn([2, 7, 12], options).set_requires_grad(true), Tensor::randn([2, 4, 12], options));
        let keys_values = || block.keys_values(&memory);
        let own = block.forward(&x, &Mask::Causal, &keys_values(), &mask, true);
        let plain = block.forward_with_weights(&x, &keys_values(), &mask).0;
        assert_close(&format!("{order:?}"), &own, &plain, 5e-6);
        let weights = vs.trainable_variables();
        let leaves: Vec<&Tensor> = std::iter::once(&x).chain(&weights).collect();
        assert_same_gradients(&format!("{order:?}"), &own, &plain, &leaves);
    }
}

#[test]
fn additive_scores_in_one_pass_equal_the_formula() {
    tch::manual_seed(13);
    let options = (Kind::Float, Device::Cpu);
    let vs = VarStore::new(Device::Cpu);
    let attention = Attention::new(&vs.root(), Score::Additive, 20).expect("it has weights");
    let variables = vs.variables();
    let [w, u, v] = ["query", "key", "score"].map(|name| &variables[&format!("{name}.weight")]);
    let states = Tensor::randn([3, 5, 20], options).set_requires_grad(true);
    let queries = Tensor::randn([3, 4, 20], options).set_requires_grad(true);
    let mask =
        Tensor::from_slice2(&[[1i64, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]]).to_kind(Kind::Bool);
    let (contexts, weights) = attention.forward(&queries, &attention.memory(&states, &mask));
    let sums = queries.matmul(&w.tr()).unsqueeze(2) + states.matmul(&u.tr()).unsqueeze(1);
    let scores = sums.tanh().matmul(&v.tr()).squeeze_dim(-1);
    let truth =
        scores.masked_fill(&mask.logical_not().unsqueeze(1), f64::NEG_INFINITY).softmax(-1, None::<Kind>);
    assert_close("weights", &weights, &truth, 1e-6);
    let leaves = [&queries, &states, w, u, v];
    let plain = gradients(&truth.matmul(&states), &leaves);
    for (i, (a, b)) in gradients(&contexts, &leaves).iter().zip(&plain).enumerate() {
        assert_close(&format!("gradient {i}"), a, b, 1e-5);
    }
}

#[test]
fn cross_entropy_in_one_pass_equals_the_plain_form() {
    tch::manual_seed(15);
    for (kind, slope_to, plain_to) in [(Kind::Float, 1e-6, 1e-6), (Kind::BFloat16, 0.008, 0.01)] {
        for (rows, vocab, smoothing) in [(1, 2, 0.0), (40, 5, 0.1), (40, 333, 0.0), (7, 1000, 0.2)] {
            let logits = Tensor::randn([rows, vocab], (Kind::Float, Device::Cpu)) * 4.0;
            let logits = logits.to_kind(kind).set_requires_grad(true);
            let targets = Tensor::randint(vocab, [rows], (Kind::Int64, Device::Cpu));
            if rows > 4 {
                let _ = targets.narrow(0, 1, 3).fill_(IGNORE);
            }
            let name = format!("{kind:?}, {rows} rows of {vocab}, smoothing {smoothing}");
            let own = smoothed_cross_entropy(&logits, &targets, smoothing);
            let mean = tch::Reduction::Mean;
            let plain = logits
                .to_kind(Kind::Float)
                .cross_entropy_loss::<Tensor>(&targets, None, mean, IGNORE, smoothing);
            assert_close(&name, &own, &plain, 1e-6 * plain.double_value(&[]).max(1.0));
            assert_eq!(own.kind(), Kind::Float);
            for factor in [1.0, -3.0] {
                let slope =
                    |loss: &Tensor| Tensor::run_backward(&[loss * factor], &[&logits], true, false).remove(0);
                let (own, plain) = (slope(&own), slope(&plain).to_kind(Kind::Float));
                assert_eq!(own.kind(), kind);
                let real = targets.ne(IGNORE).sum(Kind::Double).double_value(&[]);
                let size = f64::abs(factor) / real; // of a probability's slope
                assert_close(&name, &own.to_kind(Kind::Float), &plain, slope_to * size); // bf16: one place of eight bits
            }
            let without_graph = tch::no_grad(|| smoothed_cross_entropy(&logits, &targets, smoothing));
            assert_close(
                &name,
                &without_graph.to_kind(Kind::Float),
                &plain,
                plain_to * plain.double_value(&[]).max(1.0),
            );
        }
    }
}

#[test]
fn cross_entropy_takes_any_leading_dimensions_and_says_what_does_not_fit() {
    let logits = Tensor::randn([2, 3, 5], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let targets = Tensor::from_slice2(&[[0i64, 4, 2], [IGNORE, 1, IGNORE]]);
    let flat = cross_entropy(&logits.flatten(0, 1), &targets.flatten(0, 1));
    assert_close("the same rows", &cross_entropy(&logits, &targets), &flat, 0.0);
    assert!(cross_entropy(&logits, &targets.full_like(IGNORE)).double_value(&[]).is_nan());
    assert!(
        panic_of(|| cross_entropy(&logits, &targets.full_like(5)))
            .contains("target 5 is outside the 5 logits")
    );
    assert!(
        panic_of(|| cross_entropy(&logits, &targets.flatten(0, 1)))
            .contains("targets [6] for logits [2, 3, 5]")
    );
}

#[test]
fn a_graph_with_its_own_backward_pass_is_used_once() {
    let vs = VarStore::new(Device::Cpu);
    let block = Block::new(vs.root(), block_config(NormOrder::Pre, 0.0));
    let x = Tensor::randn([1, 4, 12], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let loss = block.forward(&x, &Mask::Causal, true).sum(Kind::Float);
    loss.backward();
    let error = loss.f_backward().expect_err("its graph is gone").to_string();
    assert!(error.contains("compute the loss anew"), "{error}");
}

#[test]
fn the_cache_gives_what_all_positions_together_give() {
    tch::manual_seed(6);
    for (rotary, kind, tolerance) in [
        (false, Kind::Double, 1e-9),
        (true, Kind::Double, 1e-9),
        (false, Kind::Float, 2e-5),
        (true, Kind::Float, 2e-5),
    ] {
        let mut vs = VarStore::new(Device::Cpu);
        let mut block = Block::new(vs.root() / "b", block_config(NormOrder::Pre, 0.1));
        let mut decoder = DecoderBlock::new(vs.root() / "d", block_config(NormOrder::Post, 0.1));
        if rotary {
            let rotary = Rotary::new(4, 9, Device::Cpu);
            (block, decoder) = (block.with_rotary(&rotary), decoder.with_rotary(&rotary));
        }
        if kind == Kind::Double {
            vs.double();
        }
        randomise(&vs);
        let _guard = tch::no_grad_guard(); // as in generation
        let x = Tensor::randn([2, 9, 12], (kind, Device::Cpu));
        let memory = decoder.keys_values(&Tensor::randn([2, 4, 12], (kind, Device::Cpu)));
        let mask = Mask::Where(key_mask(&Tensor::from_slice2(&[[1i64, 1, 1, 1], [1, 1, 0, 0]])));
        let whole = block.forward(&x, &Mask::Causal, false);
        let read = decoder.forward(&x, &Mask::Causal, &memory, &mask, false);
        assert_close("with weights", &decoder.forward_with_weights(&x, &memory, &mask).0, &read, tolerance);
        let new_cache = || KvCache::new([2, 3, 9, 4], kind, Device::Cpu);
        for pieces in [vec![9], vec![1; 9], vec![4, 1, 3, 1]] {
            let (mut cache, mut decoder_cache) = (new_cache(), new_cache());
            let (mut outs, mut reads) = (Vec::new(), Vec::new());
            for &piece in &pieces {
                let new = x.narrow(1, cache.len(), piece);
                outs.push(block.forward_cached(&new, &mut cache));
                reads.push(decoder.forward_cached(&new, &mut decoder_cache, &memory, &mask));
            }
            assert_close(&format!("{pieces:?}"), &Tensor::cat(&outs, 1), &whole, tolerance);
            assert_close(&format!("{pieces:?}, decoder"), &Tensor::cat(&reads, 1), &read, tolerance);
            let message = panic_of(|| block.forward_cached(&x.narrow(1, 0, 1), &mut cache));
            assert!(message.contains("do not fit into"), "{message}");
        }
        let mut cache = new_cache();
        let _ = block.forward_cached(&x.narrow(1, 0, 8), &mut cache);
        let rows = Tensor::from_slice(&[1i64, 0, 1]);
        let mut beams = cache.select(&rows);
        let last = block.forward_cached(&x.narrow(1, 8, 1).index_select(0, &rows), &mut beams);
        assert_close("selected", &last, &whole.narrow(1, 8, 1).index_select(0, &rows), tolerance);
    }
}

#[test]
fn the_buffers_of_a_cache_are_allocated_once() {
    let mut cache = KvCache::new([2, 3, 50, 4], Kind::Float, Device::Cpu);
    let new = Tensor::randn([2, 3, 1, 4], (Kind::Float, Device::Cpu));
    let (first, _) = cache.append(&new, &new);
    for _ in 1..50 {
        let (keys, values) = cache.append(&new, &new);
        assert_eq!(keys.data_ptr(), first.data_ptr());
        assert_ne!(values.data_ptr(), first.data_ptr());
    }
    assert_eq!((cache.len(), cache.capacity()), (50, 50));
    cache.clear();
    assert_eq!(cache.append(&new, &new).0.data_ptr(), first.data_ptr());
}

#[test]
fn dropout_is_on_in_training_and_off_in_evaluation() {
    tch::manual_seed(7);
    let vs = VarStore::new(Device::Cpu);
    let x = Tensor::randn([4, 16, 12], (Kind::Float, Device::Cpu));
    let memory = Tensor::randn([4, 5, 12], (Kind::Float, Device::Cpu));
    for order in [NormOrder::Pre, NormOrder::Post] {
        let path = vs.root() / format!("{order:?}");
        let block = Block::new(&path / "b", block_config(order, 0.2));
        let decoder = DecoderBlock::new(&path / "d", block_config(order, 0.2));
        let kv = decoder.keys_values(&memory);
        let runs: [&dyn Fn(bool) -> Tensor; 2] =
            [&|train| block.forward(&x, &Mask::Causal, train), &|train| {
                decoder.forward(&x, &Mask::Causal, &kv, &Mask::Full, train)
            }];
        for run in runs {
            assert_eq!(run(false), run(false), "evaluation is exact");
            assert!(difference(&run(true), &run(true)) > 1e-2, "training is random");
            assert!(difference(&run(true), &run(false)) > 1e-2);
        }
    }
    let (_vs, layer) = attention(12, 3, 0.2);
    let x = x.to_kind(Kind::Double);
    assert!(difference(&layer.forward(&x, &Mask::Full, true), &layer.forward(&x, &Mask::Full, false)) > 1e-2);

    // Numbers are zeroed at the stated rate and the others grow, so that the mean stays.
    let config = EmbeddingConfig {
        vocab_size: 3,
        d_model: 200,
        block_size: 100,
        positions: Positions::Rotary,
        std: 1.0,
        scale: 1.0,
        dropout: 0.2,
    };
    let embedding = Embedding::new(vs.root() / "e", config);
    let _ = tch::no_grad(|| embedding.table.shallow_clone().fill_(1.0));
    let ids = Tensor::zeros([10, 100], (Kind::Int64, Device::Cpu));
    let out = embedding.forward(&ids, 0, true);
    let zeros = out.eq(0.0).to_kind(Kind::Double).mean(None::<Kind>).double_value(&[]);
    assert!((zeros - 0.2).abs() < 0.005, "{zeros} of 200,000 numbers dropped: 5.6 standard errors are 0.005");
    assert_close("survivors", &out.max(), &Tensor::from(1.25f32), 1e-6);
    assert_eq!(embedding.forward(&ids, 0, false), Tensor::ones([10, 100, 200], (Kind::Float, Device::Cpu)));
}

#[test]
fn embeddings_add_positions_from_the_offset_on() {
    let vs = VarStore::new(Device::Cpu);
    let config = |positions| EmbeddingConfig {
        vocab_size: 9,
        d_model: 8,
        block_size: 6,
        positions,
        std: 1.0,
        scale: 3.0,
        dropout: 0.1,
    };
    let ids = Tensor::from_slice2(&[[4i64, 2], [7, 7]]);
    for positions in [Positions::Learned, Positions::Sinusoidal, Positions::Rotary] {
        let embedding = Embedding::new(vs.root() / format!("{positions:?}"), config(positions));
        let table = match positions {
            Positions::Learned => vs.variables()["Learned.positions.weight"].shallow_clone(),
            Positions::Sinusoidal => sinusoidal(6, 8, Device::Cpu),
            Positions::Rotary => Tensor::zeros([6, 8], (Kind::Float, Device::Cpu)),
        };
        let truth = embedding.table.index_select(0, &ids.view([-1])).view([2, 2, 8]) * 3.0 + table.i(4..6);
        assert_close(&format!("{positions:?}"), &embedding.forward(&ids, 4, false), &truth, 1e-6);
        assert!(
            panic_of(|| embedding.forward(&ids, 5, false)).contains("7 positions are more than block_size 6")
        );
    }
    assert_eq!(vs.len(), 4, "sinusoidal and rotary positions have no parameters");
}

#[test]
fn matrices_start_as_stated() {
    tch::manual_seed(8);
    let vs = VarStore::new(Device::Cpu);
    let config = BlockConfig { d_model: 256, n_heads: 4, d_ff: 1024, ..block_config(NormOrder::Pre, 0.0) };
    for (name, init) in [("x", WeightInit::Xavier), ("g", WeightInit::gpt2(8))] {
        Block::new(vs.root() / name, BlockConfig { init, ..config });
    }
    let v = vs.variables();
    let std = |name: &str| v[name].std(false).double_value(&[]);
    let near =
        |what: &str, got: f64, want: f64| assert!((got / want - 1.0).abs() < 0.02, "{what}: {got} {want}");
    near("GPT-2", std("g.attention.qkv.weight"), 0.02);
    near("GPT-2", std("g.feed_forward.up.weight"), 0.02);
    near("GPT-2, residual", std("g.attention.out.weight"), 0.02 / 4.0);
    near("GPT-2, residual", std("g.feed_forward.down.weight"), 0.02 / 4.0);
    near("Xavier, each of q, k, v", std("x.attention.qkv.weight"), (2.0 / 512f64).sqrt());
    near("Xavier", std("x.feed_forward.up.weight"), (2.0 / 1280f64).sqrt());
    for (name, tensor) in &v {
        if name.ends_with("bias") {
            assert_eq!(tensor.abs().max().double_value(&[]), 0.0, "{name}");
        }
    }
}

/// A layer of 8 → 6 numbers whose update is not 0 any more, its input, and the VarStores of both.
fn with_lora(config: LoraConfig) -> (VarStore, VarStore, Linear, Tensor) {
    let (mut base, update) = (VarStore::new(Device::Cpu), VarStore::new(Device::Cpu));
    tch::manual_seed(5);
    let mut linear = Linear::from(nn::linear(base.root(), 8, 6, Default::default()));
    linear.add_lora(&update.root(), config).unwrap();
    base.freeze();
    let x = Tensor::randn([2, 3, 8], (Kind::Float, Device::Cpu));
    (base, update, linear, x)
}

#[test]
fn lora_begins_as_nothing_and_is_the_low_rank_product() {
    let config = LoraConfig { rank: 2, alpha: 6.0, feed_forward: false };
    let (base, update, linear, x) = with_lora(config);
    let plain = x.linear(&base.variables()["weight"], Some(&base.variables()["bias"]));
    assert_eq!(linear.forward(&x), plain);
    randomise(&update);
    let (a, b) = (&update.variables()["a"], &update.variables()["b"]);
    assert_eq!((a.size(), b.size()), (vec![2, 8], vec![6, 2]));
    let want = &plain + x.matmul(&a.tr()).matmul(&b.tr()) * 3.0; // α/r = 3
    assert_close("product", &linear.forward(&x), &want, 1e-5);
    assert_close("rows", &linear.forward_rows(&x, 2, 3), &want.narrow(-1, 2, 3), 1e-5);
    let learnt = Tensor::run_backward(&[linear.forward(&x).sum(Kind::Double)], &[a, b], false, false);
    assert!(learnt.iter().all(|gradient| gradient.abs().max().double_value(&[]) > 0.0));
    assert!(base.variables().values().all(|variable| !variable.requires_grad()));
}

#[test]
fn lora_merges_and_comes_out_again() {
    let (base, update, mut linear, x) = with_lora(LoraConfig::rank(3));
    randomise(&update);
    let (weight, apart) = (base.variables()["weight"].copy(), linear.forward(&x));
    for _ in 0..2 {
        linear.set_lora_merged(true);
        assert!(difference(&base.variables()["weight"], &weight) > 1e-3);
        assert_close("output", &linear.forward(&x), &apart, 1e-5);
    }
    linear.set_lora_merged(false);
    assert_close("weight", &base.variables()["weight"], &weight, 1e-5);
    assert_close("output", &linear.forward(&x), &apart, 1e-5);
}

#[test]
fn lora_of_a_block_reaches_what_it_should() {
    for (feed_forward, variables) in [(false, 4), (true, 8)] {
        let (base, update) = (VarStore::new(Device::Cpu), VarStore::new(Device::Cpu));
        let mut block = Block::new(base.root(), block_config(NormOrder::Post, 0.0));
        let config = LoraConfig { feed_forward, ..LoraConfig::rank(2) };
        block.add_lora(&update.root(), config).unwrap();
        assert_eq!(update.variables().len(), variables);
        let x = Tensor::randn([2, 5, base.variables()["norm1.weight"].size()[0]], (Kind::Float, Device::Cpu));
        let before = block.forward(&x, &Mask::Causal, false);
        randomise(&update);
        let changed = block.forward(&x, &Mask::Causal, false);
        assert!(difference(&before, &changed) > 1e-3);
        block.set_lora_merged(true);
        assert_close("merged", &block.forward(&x, &Mask::Causal, false), &changed, 1e-5);
    }
}

#[test]
fn lora_says_what_does_not_fit() {
    let (_base, _update, mut linear, _x) = with_lora(LoraConfig::rank(2));
    let other = VarStore::new(Device::Cpu);
    let mut refused = |config| linear.add_lora(&other.root(), config).unwrap_err().to_string();
    assert!(refused(LoraConfig::rank(0)).contains("take 1 to 6"));
    assert!(refused(LoraConfig::rank(7)).contains("take 1 to 6"));
    assert!(refused(LoraConfig { alpha: 0.0, ..LoraConfig::rank(2) }).contains("must be positive"));
    assert!(refused(LoraConfig::rank(2)).contains("already"));
}

#[test]
fn lora_of_a_model_reaches_every_layer() {
    let ids = Tensor::from_slice(&[4i64, 7, 9, 5]).unsqueeze(0);
    let (base, mut update) = (VarStore::new(Device::Cpu), VarStore::new(Device::Cpu));
    let config = GptConfig { n_layers: 3, d_model: 12, n_heads: 3, d_ff: 20, ..GptConfig::small(20) };
    let mut gpt = Gpt::new(&base.root(), config).unwrap();
    gpt.add_lora(&update.root(), LoraConfig::rank(2)).unwrap();
    assert_eq!(update.variables().len(), 3 * 4);
    randomise(&update);
    let apart = gpt.forward(&ids, false);
    gpt.set_lora_merged(true);
    assert_close("gpt", &gpt.forward(&ids, false), &apart, 1e-5);

    update = VarStore::new(Device::Cpu);
    let base = VarStore::new(Device::Cpu);
    let mut bert = Bert::new(&base.root(), BertConfig { n_layers: 3, ..BertConfig::tiny(20) }).unwrap();
    let hidden = |bert: &Bert| bert.forward(&ids, &ids.zeros_like(), &ids.ne(0), false);
    bert.add_lora(&update.root(), LoraConfig::rank(2)).unwrap();
    assert_eq!(update.variables().len(), 3 * 4);
    let plain = hidden(&bert);
    randomise(&update);
    let apart = hidden(&bert);
    assert!(difference(&plain, &apart) > 1e-3);
    bert.set_lora_merged(true);
    assert_close("bert", &hidden(&bert), &apart, 1e-4);
}
