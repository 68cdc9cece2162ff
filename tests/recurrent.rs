//! The cells by hand equal libtorch's fused kernels; padding, gates and states are what they claim to be.

use std::sync::{Mutex, MutexGuard};

use llm_course::models::{
    CellKind, CharLm, CharLmConfig, GruWeights, LstmWeights, Recurrent, RecurrentConfig, RecurrentState,
    RnnWeights, gru_step, lstm_step, rnn_step,
};
use llm_course::train::{TrainConfig, Trainer};
use tch::{Device, Kind, Tensor, nn, no_grad};

const KINDS: [CellKind; 3] = [CellKind::Rnn, CellKind::Lstm, CellKind::Gru];
const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

/// Seeds libtorch's random numbers for one test at a time: they belong to the whole process.
fn seeded(seed: i64) -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    tch::manual_seed(seed);
    turn
}

/// A layer in f64 with its variables.
fn layer(config: RecurrentConfig) -> (nn::VarStore, Recurrent) {
    let mut vs = nn::VarStore::new(Device::Cpu);
    let layer = Recurrent::new(&vs.root(), config);
    vs.double();
    (vs, layer)
}

fn random(shape: &[i64]) -> Tensor {
    Tensor::randn(shape, DOUBLE).set_requires_grad(true)
}

/// A random state in the shape of `zero`.
fn random_state(zero: &RecurrentState) -> RecurrentState {
    let like = |tensor: &Tensor| random(&tensor.size());
    RecurrentState { hidden: like(&zero.hidden), cell: zero.cell.as_ref().map(like) }
}

fn close(got: &Tensor, want: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(got.size(), want.size(), "{what}");
    let off = (got - want).abs().max().double_value(&[]);
    assert!(off <= tolerance, "{what} is off by {off:e}");
}

/// Gradients of Σ weight · output with weights that vary from number to number.
fn gradients(outputs: &[&Tensor], inputs: &[&Tensor]) -> Vec<Tensor> {
    let sum = outputs.iter().fold(Tensor::zeros([], DOUBLE), |sum, output| {
        let weight = (Tensor::arange(output.numel() as i64, DOUBLE) * 0.7 + 0.3).cos();
        sum + (*output * weight.reshape(output.size())).sum(Kind::Double)
    });
    Tensor::run_backward(&[sum], inputs, false, false)
}

fn parts(state: &RecurrentState) -> Vec<&Tensor> {
    std::iter::once(&state.hidden).chain(&state.cell).collect()
}

/// One layer in one direction, step by step: all hidden states `[batch, time, hidden]`, last hidden and cell.
fn unroll(
    layer: &Recurrent,
    kind: CellKind,
    index: usize,
    x: &Tensor,
    state: &RecurrentState,
    backward: bool,
) -> (Tensor, Tensor, Option<Tensor>) {
    enum Weights {
        Rnn(RnnWeights),
        Lstm(LstmWeights),
        Gru(GruWeights),
    }
    let weights = match kind {
        CellKind::Rnn => Weights::Rnn(layer.rnn_weights(index)),
        CellKind::Lstm => Weights::Lstm(layer.lstm_weights(index)),
        CellKind::Gru => Weights::Gru(layer.gru_weights(index)),
    };
    let mut hidden = state.hidden.get(index as i64);
    let mut cell = state.cell.as_ref().map(|cell| cell.get(index as i64));
    let time = x.size()[1];
    let mut states = Vec::new();
    for t in 0..time {
        let x = x.select(1, if backward { time - 1 - t } else { t });
        hidden = match (&weights, &mut cell) {
            (Weights::Rnn(w), None) => rnn_step(&x, &hidden, w),
            (Weights::Gru(w), None) => gru_step(&x, &hidden, w),
            (Weights::Lstm(w), Some(cell)) => {
                let (hidden, next) = lstm_step(&x, &hidden, cell, w);
                *cell = next;
                hidden
            }
            _ => unreachable!("only an LSTM has cells"),
        };
        states.push(hidden.shallow_clone());
    }
    if backward {
        states.reverse();
    }
    (Tensor::stack(&states, 1), hidden, cell)
}

/// All layers and directions by hand.
fn by_hand(
    layer: &Recurrent,
    config: RecurrentConfig,
    x: &Tensor,
    state: &RecurrentState,
) -> (Tensor, RecurrentState) {
    let directions = if config.bidirectional { 2 } else { 1 };
    let (mut x, mut hidden, mut cells) = (x.shallow_clone(), Vec::new(), Vec::new());
    for level in 0..config.n_layers as usize {
        let mut outputs = Vec::new();
        for direction in 0..directions {
            let index = level * directions + direction;
            let (states, last, cell) = unroll(layer, config.kind, index, &x, state, direction == 1);
            outputs.push(states);
            hidden.push(last);
            cells.extend(cell);
        }
        x = Tensor::cat(&outputs, -1);
    }
    let cell = (config.kind == CellKind::Lstm).then(|| Tensor::stack(&cells, 0));
    (x, RecurrentState { hidden: Tensor::stack(&hidden, 0), cell })
}

#[test]
fn cells_by_hand_equal_the_fused_kernels() {
    let _turn = seeded(1);
    for kind in KINDS {
        for (n_layers, bidirectional) in [(1, false), (2, false), (3, false), (1, true), (2, true)] {
            for (batch, time, input_dim, hidden_dim) in
                [(1, 1, 1, 1), (1, 7, 3, 5), (4, 1, 5, 3), (3, 6, 4, 4)]
            {
                let sizes = RecurrentConfig::new(kind, input_dim, hidden_dim);
                let config = RecurrentConfig { n_layers, bidirectional, ..sizes };
                let (vs, layer) = layer(config);
                let x = random(&[batch, time, input_dim]);
                let state = random_state(&layer.zero_state(batch));
                let (got, last) = layer.forward(&x, &state);
                let (want, want_last) = by_hand(&layer, config, &x, &state);
                let case = format!("{config:?}, batch {batch}, time {time}");
                close(&got, &want, 1e-9, &format!("states of {case}"));
                for (got, want) in parts(&last).iter().zip(parts(&want_last)) {
                    close(got, want, 1e-9, &format!("last state of {case}"));
                }
                let variables = vs.variables();
                let mut inputs = vec![&x];
                inputs.extend(parts(&state));
                inputs.extend(variables.values());
                let outputs = |states, last| [vec![states], parts(last)].concat();
                let fused = gradients(&outputs(&got, &last), &inputs);
                let hand = gradients(&outputs(&want, &want_last), &inputs);
                for (fused, hand) in fused.iter().zip(&hand) {
                    close(fused, hand, 1e-9, &format!("a gradient of {case}"));
                    assert!(hand.abs().max().double_value(&[]) > 1e-6, "a gradient of {case} vanishes");
                }
            }
        }
    }
}

#[test]
fn single_precision_agrees_with_double() {
    let _turn = seeded(0);
    for kind in KINDS {
        tch::manual_seed(2);
        let mut vs = nn::VarStore::new(Device::Cpu);
        let layer = Recurrent::new(&vs.root(), RecurrentConfig::new(kind, 8, 16));
        let x = Tensor::randn([4, 20, 8], (Kind::Float, Device::Cpu));
        let (single, _) = layer.forward(&x, &layer.zero_state(4));
        vs.double();
        let (double, _) = layer.forward(&x.to_kind(Kind::Double), &layer.zero_state(4));
        close(&single, &double, 1e-5, &format!("{kind:?} in f32"));
    }
}

/// A mask `[batch, time]` of texts with these lengths.
fn mask(lengths: &[i64], time: i64) -> Tensor {
    let steps = Tensor::arange(time, (Kind::Int64, Device::Cpu));
    steps.less_tensor(&Tensor::from_slice(lengths).unsqueeze(1))
}

#[test]
fn a_gru_step_by_step_is_the_gru_of_the_whole_text() {
    let _turn = seeded(5);
    let vs = nn::VarStore::new(Device::Cpu); // f32, for which a step has a kernel of its own
    let gru = Recurrent::new(&vs.root(), RecurrentConfig::new(CellKind::Gru, 5, 20));
    let x = Tensor::randn([3, 6, 5], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let start = gru.zero_state(3);
    let (whole, last) = gru.forward(&x, &start);
    let (mut states, mut state) = (Vec::new(), start);
    for t in 0..6 {
        let (out, next) = gru.forward(&x.narrow(1, t, 1), &state);
        states.push(out);
        state = next;
    }
    let steps = Tensor::cat(&states, 1);
    close(&steps, &whole, 1e-6, "states");
    close(&state.hidden, &last.hidden, 1e-6, "the last state");
    let variables = vs.trainable_variables();
    let inputs: Vec<&Tensor> = std::iter::once(&x).chain(&variables).collect();
    for (one, all) in gradients(&[&steps], &inputs).iter().zip(gradients(&[&whole], &inputs)) {
        close(one, &all, 1e-5, "a gradient");
    }
}

#[test]
fn masked_texts_come_out_as_if_alone() {
    let _turn = seeded(3);
    let lengths = [3, 7, 1, 5];
    for kind in KINDS {
        for bidirectional in [false, true] {
            let sizes = RecurrentConfig::new(kind, 4, 3);
            let (vs, layer) = layer(RecurrentConfig { n_layers: 2, bidirectional, ..sizes });
            let x = random(&[4, 9, 4]);
            let (states, last) = layer.forward_masked(&x, &mask(&lengths, 9), false);
            let alone: Vec<_> = lengths
                .iter()
                .enumerate()
                .map(|(row, &length)| {
                    let text = x.narrow(0, row as i64, 1).narrow(1, 0, length);
                    layer.forward(&text, &layer.zero_state(1))
                })
                .collect();
            let pad = |states: &Tensor| states.constant_pad_nd([0, 0, 0, 9 - states.size()[1]]);
            let want = Tensor::cat(&alone.iter().map(|(states, _)| pad(states)).collect::<Vec<_>>(), 0);
            close(&states, &want, 1e-12, &format!("{kind:?} states, both directions: {bidirectional}"));
            for part in 0..parts(&last).len() {
                let want: Vec<&Tensor> = alone.iter().map(|(_, last)| parts(last)[part]).collect();
                close(parts(&last)[part], &Tensor::cat(&want, 1), 1e-12, &format!("{kind:?} last state"));
            }
            let variables = vs.variables();
            let inputs: Vec<&Tensor> = std::iter::once(&x).chain(variables.values()).collect();
            for (got, want) in gradients(&[&states], &inputs).iter().zip(gradients(&[&want], &inputs)) {
                close(got, &want, 1e-12, &format!("{kind:?} gradient"));
            }
        }
    }
}

#[test]
fn both_directions_join_layer_by_layer() {
    let _turn = seeded(9);
    let sizes = RecurrentConfig::new(CellKind::Gru, 2, 3);
    let (_vs, layer) = layer(RecurrentConfig { n_layers: 2, bidirectional: true, ..sizes });
    let (states, last) = layer.forward(&random(&[4, 5, 2]), &layer.zero_state(4));
    let joined = last.join_directions().hidden;
    assert_eq!(joined.size(), [2, 4, 6]);
    let end_of_forward = states.select(1, 4).narrow(1, 0, 3);
    let end_of_backward = states.select(1, 0).narrow(1, 3, 3);
    close(&joined.get(1), &Tensor::cat(&[end_of_forward, end_of_backward], 1), 1e-12, "the top layer");
    close(&joined.get(0).narrow(1, 3, 3), &last.hidden.get(1), 0.0, "the lower layer, backward");
}

#[test]
#[should_panic(expected = "move padding to the end")]
fn padding_must_stand_at_the_end() {
    let _turn = seeded(0);
    let (_vs, layer) = layer(RecurrentConfig::new(CellKind::Gru, 2, 2));
    let mask = Tensor::from_slice(&[false, true, true]).unsqueeze(0);
    let _ = layer.forward_masked(&random(&[1, 3, 2]), &mask, false);
}

#[test]
#[should_panic(expected = "no real step")]
fn an_empty_text_is_refused() {
    let _turn = seeded(0);
    let (_vs, layer) = layer(RecurrentConfig::new(CellKind::Lstm, 2, 2));
    let _ = layer.forward_masked(&random(&[2, 3, 2]), &mask(&[3, 0], 3), false);
}

#[test]
#[should_panic(expected = "begin with its own zero_state")]
fn a_state_of_another_kind_is_refused() {
    let _turn = seeded(0);
    let (_vs, lstm) = layer(RecurrentConfig::new(CellKind::Lstm, 2, 2));
    let (_vs, gru) = layer(RecurrentConfig::new(CellKind::Gru, 2, 2));
    let _ = lstm.forward(&random(&[1, 3, 2]), &gru.zero_state(1));
}

#[test]
fn gates_over_time_explain_the_fused_states() {
    let _turn = seeded(4);
    let two_layers = |kind| RecurrentConfig { n_layers: 2, ..RecurrentConfig::new(kind, 3, 5) };
    let x = random(&[2, 6, 3]);

    let (_vs, lstm) = layer(two_layers(CellKind::Lstm));
    let state = random_state(&lstm.zero_state(2));
    let (states, last) = lstm.forward(&x, &state);
    let gates = lstm.lstm_gates(&x, &state);
    assert_eq!(gates.len(), 2);
    close(&gates[1].hidden(), &states, 1e-9, "o ⊙ tanh(c) of the top layer");
    for (layer, gates) in gates.iter().enumerate() {
        let cell = last.cell.as_ref().unwrap().get(layer as i64);
        close(&gates.cell.select(1, 5), &cell, 1e-9, "the last cell");
        for gate in [&gates.input, &gates.forget, &gates.output] {
            assert_eq!(gate.size(), [2, 6, 5]);
            assert!(gate.min().double_value(&[]) > 0.0 && gate.max().double_value(&[]) < 1.0);
        }
        let kept = &gates.forget.narrow(1, 1, 5) * gates.cell.narrow(1, 0, 5);
        let written = gates.input.narrow(1, 1, 5) * gates.candidate.narrow(1, 1, 5);
        close(&(kept + written), &gates.cell.narrow(1, 1, 5), 1e-12, "f ⊙ c + i ⊙ g");
    }

    let (_vs, gru) = layer(two_layers(CellKind::Gru));
    let state = random_state(&gru.zero_state(2));
    let gates = gru.gru_gates(&x, &state);
    close(&gates[1].hidden, &gru.forward(&x, &state).0, 1e-9, "the GRU's top layer");
    let (update, candidate) = (&gates[0].update, &gates[0].candidate);
    let before = Tensor::cat(&[&state.hidden.get(0).unsqueeze(1), &gates[0].hidden.narrow(1, 0, 5)], 1);
    close(&(update * before + (1.0 - update) * candidate), &gates[0].hidden, 1e-12, "z ⊙ h + (1 − z) ⊙ h̃");
    assert!(gates[0].reset.min().double_value(&[]) > 0.0 && gates[0].reset.max().double_value(&[]) < 1.0);
}

#[test]
fn the_forget_bias_moves_only_forget_gates() {
    let _turn = seeded(0);
    let bias = |kind, forget_bias| {
        tch::manual_seed(5);
        let sizes = RecurrentConfig::new(kind, 3, 4);
        let (vs, _) = layer(RecurrentConfig { n_layers: 2, bidirectional: true, forget_bias, ..sizes });
        vs.variables()
    };
    let moved = |kind| {
        let (plain, other) = (bias(kind, 0.0), bias(kind, 1.5));
        plain.iter().map(|(name, tensor)| (name.clone(), &other[name] - tensor)).collect::<Vec<_>>()
    };
    let expected = Tensor::cat(
        &[Tensor::zeros([4], DOUBLE), Tensor::full([4], 1.5, DOUBLE), Tensor::zeros([8], DOUBLE)],
        0,
    );
    for (name, difference) in moved(CellKind::Lstm) {
        let want =
            if name.starts_with("bias_ih") { expected.shallow_clone() } else { difference.zeros_like() };
        close(&difference, &want, 1e-6, &name); // added in f32
    }
    for (name, difference) in moved(CellKind::Gru) {
        close(&difference, &difference.zeros_like(), 0.0, &name);
    }
}

#[test]
fn parameters_are_named_as_in_pytorch() {
    let _turn = seeded(0);
    let config = RecurrentConfig { n_layers: 2, ..RecurrentConfig::new(CellKind::Gru, 3, 4) };
    let (vs, _) = layer(RecurrentConfig { bidirectional: true, ..config });
    let variables = vs.variables();
    assert_eq!(variables.len(), 16);
    for (name, shape) in [
        ("weight_ih_l0", vec![12, 3]),
        ("weight_hh_l0_reverse", vec![12, 4]),
        ("weight_ih_l1", vec![12, 8]),
        ("bias_ih_l1_reverse", vec![12]),
        ("bias_hh_l0", vec![12]),
    ] {
        assert_eq!(variables[name].size(), shape, "{name}");
    }
}

#[test]
fn states_can_be_reordered_and_cut() {
    let _turn = seeded(6);
    let sizes = RecurrentConfig::new(CellKind::Lstm, 2, 3);
    let (_vs, layer) = layer(RecurrentConfig { n_layers: 2, ..sizes });
    let x = random(&[3, 4, 2]);
    let (_, state) = layer.forward(&x, &layer.zero_state(3));
    let rows = Tensor::from_slice(&[2i64, 0, 2]);
    let (all, _) = layer.forward(&x, &state);
    let (chosen, _) = layer.forward(&x.index_select(0, &rows), &state.select(&rows));
    close(&chosen, &all.index_select(0, &rows), 1e-12, "rows 2, 0, 2");
    assert!(parts(&state).iter().all(|part| part.requires_grad()));
    assert!(parts(&state.detach()).iter().all(|part| !part.requires_grad()));
}

#[test]
fn a_language_model_carries_its_state() {
    let _turn = seeded(0);
    for kind in KINDS {
        tch::manual_seed(7);
        let mut vs = nn::VarStore::new(Device::Cpu);
        let options = CharLmConfig { n_layers: 2, ..CharLmConfig::new(kind, 11, 4, 6) };
        let model = CharLm::new(&vs.root(), options);
        vs.double();
        let ids = Tensor::randint(11, [3, 10], (Kind::Int64, Device::Cpu));
        let (whole, end) = model.forward(&ids, &model.zero_state(3));
        assert_eq!(whole.size(), [3, 10, 11]);
        let (first, state) = model.forward(&ids.narrow(1, 0, 4), &model.zero_state(3));
        let (second, last) = model.forward(&ids.narrow(1, 4, 6), &state);
        close(&Tensor::cat(&[first, second], 1), &whole, 1e-12, &format!("{kind:?} in two parts"));
        for (got, want) in parts(&last).iter().zip(parts(&end)) {
            close(got, want, 1e-12, "the last state");
        }
        if kind == CellKind::Lstm {
            let gates = model.lstm_gates(&ids, &model.zero_state(3));
            let variables = vs.variables();
            let logits = gates[1].hidden().matmul(&variables["head.weight"].tr()) + &variables["head.bias"];
            close(&logits, &whole, 1e-9, "the head over o ⊙ tanh(c)");
        }
    }
}

#[test]
fn dropout_acts_only_in_training() {
    let _turn = seeded(0);
    let vs = nn::VarStore::new(Device::Cpu);
    let sizes = CharLmConfig::new(CellKind::Lstm, 5, 8, 8);
    let model = CharLm::new(&vs.root(), CharLmConfig { n_layers: 2, dropout: 0.5, ..sizes });
    let ids = Tensor::randint(5, [2, 6], (Kind::Int64, Device::Cpu));
    let logits = |train| model.forward_t(&ids, &model.zero_state(2), train).0;
    assert_eq!(logits(false), logits(false));
    assert_ne!(logits(true), logits(true));
    assert_ne!(logits(true), logits(false));
}

#[test]
fn every_kind_learns_a_text_by_heart() {
    let _turn = seeded(0);
    let text: Vec<i64> = [3i64, 1, 4, 1, 5, 0, 2, 6].repeat(8); // what follows 1 depends on what was before
    let ids = Tensor::from_slice(&text).unsqueeze(0);
    for kind in KINDS {
        tch::manual_seed(8);
        let vs = nn::VarStore::new(Device::Cpu);
        let model = CharLm::new(&vs.root(), CharLmConfig::new(kind, 7, 8, 16));
        let loss = || {
            let (logits, _) = model.forward(&ids.narrow(1, 0, 63), &model.zero_state(1));
            logits.squeeze_dim(0).cross_entropy_for_logits(&ids.narrow(1, 1, 63).squeeze_dim(0))
        };
        let config = TrainConfig { steps: 150, lr: 2e-2, warmup: 10, ..Default::default() };
        let history = Trainer::new(&vs, config)
            .unwrap()
            .fit("model", |_| loss(), || no_grad(|| loss().double_value(&[])))
            .unwrap();
        let nats = history.final_validation();
        assert!(nats < 0.05, "{kind:?}: {nats} nats, and one in seven symbols is ambiguous without memory");
    }
}
