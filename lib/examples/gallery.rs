//! Draws every kind of figure: `cargo run --example gallery -- FOLDER`.

use llm_course::plot::{self, Figure, Unit};
use llm_course::train::History;

fn history() -> History {
    let mut history = History::new("LSTM");
    let loss = |step: f64| 0.72 + 2.4 * (-step / 250.0).exp();
    history.train =
        (0..2000).map(|s| loss(f64::from(s)) - 0.03 + 0.05 * f64::from(s * s % 13 - 6) / 6.0).collect();
    history.steps = (1..=20).map(|i| 100 * i).collect();
    history.validation = history.steps.iter().map(|s| loss(*s as f64)).collect();
    history
}

fn bars() -> Figure {
    Figure::bars("Each rung buys less", ["5-gram", "RNN", "GRU", "LSTM", "transformer"])
        .y_label("bits per byte")
        .bar_with_errors("equal parameters", [1.6, 1.42, 1.25, 1.21, 1.13], [0.0, 0.03, 0.02, 0.04, 0.02])
        .bar_with_errors("equal seconds", [1.6, 1.38, 1.3, 1.25, 1.19], [0.0, 0.02, 0.02, 0.03, 0.01])
        .level("entropy floor", 0.93)
}

fn alignment() -> Figure {
    let weights = [
        [0.92, 0.05, 0.01, 0.01, 0.01],
        [0.05, 0.15, 0.74, 0.05, 0.01],
        [0.02, 0.85, 0.10, 0.02, 0.01],
        [0.01, 0.01, 0.08, 0.88, 0.02],
        [0.0, 0.01, 0.01, 0.03, 0.95],
    ];
    Figure::heatmap("French puts the adjective last, and attention follows", weights)
        .rows(["le", "chat", "noir", "dort", "."])
        .columns(["the", "black", "cat", "sleeps", "."])
        .x_label("English")
        .y_label("French")
        .mark_cells("gold alignment", [(0, 0), (1, 2), (2, 1), (3, 3), (4, 4)])
        .scale_label("attention weight")
        .scale_range(0, 1)
        .numbers()
}

fn scaling() -> Figure {
    let sizes = [1.2e4, 4.8e4, 1.9e5, 8.1e5, 3.3e6];
    Figure::lines("Four times the parameters, eleven percent less loss")
        .x_label("parameters")
        .y_label("nats above the floor")
        .points("GPT", sizes, [0.83, 0.72, 0.66, 0.575, 0.52])
        .fit_power("GPT")
        .points("LSTM", sizes, [0.91, 0.84, 0.79, 0.755, 0.71])
        .fit_power("LSTM")
}

fn gates() -> Figure {
    let text = "\"Yes,\" said the cat, \"I know.\" Then it slept in the sun until the evening came.";
    let gate = |speed: f64, shift: f64| {
        (0..text.len()).map(move |i| 0.5 + 0.5 * (speed * i as f64 + shift).sin()).collect::<Vec<_>>()
    };
    Figure::ribbons("The forget gate closes where a word ends", text)
        .ribbon("input gate", gate(0.7, 0.0))
        .ribbon("forget gate", gate(0.3, 1.0))
        .ribbon("output gate", gate(1.1, 2.0))
        .scale_label("activation")
        .scale_range(0, 1)
}

fn timeline() -> Figure {
    let events = [
        (1948, "entropy of language (Shannon)"),
        (1990, "RNN (Elman)"),
        (1997, "LSTM (Hochreiter and Schmidhuber)"),
        (2003, "neural language model (Bengio)"),
        (2014, "GRU (Cho)"),
        (2014, "seq2seq (Sutskever)"),
        (2014, "attention (Bahdanau)"),
        (2015, "byte-pair encoding (Sennrich)"),
        (2017, "transformer (Vaswani)"),
        (2018, "GPT (Radford)"),
        (2018, "BERT (Devlin)"),
        (2019, "GPT-2"),
        (2020, "GPT-3"),
        (2022, "instructions (Ouyang)"),
    ];
    let start = Figure::timeline("Half of the path was walked in four years");
    events.into_iter().fold(start, |figure, (year, name)| figure.event(year, name))
}

fn unrolled() -> Figure {
    let mut figure =
        Figure::diagram("An RNN is one cell at every step").group((1, 0), (1, 3), "RNN, unrolled");
    for (t, (input, output)) in
        [("x₁", "y₁"), ("x₂", "y₂"), ("x₃", "y₃"), ("x₄", "y₄")].into_iter().enumerate()
    {
        figure = figure.symbol((2, t), input).block((1, t), "cell").symbol((0, t), output);
        figure = figure.arrow([(2, t), (1, t)], "W_xh").arrow([(1, t), (0, t)], "");
        figure = if t > 0 { figure.arrow([(1, t - 1), (1, t)], "h") } else { figure };
    }
    figure
}

fn attention() -> Figure {
    let mut figure = Figure::diagram("The decoder looks back at every encoder state")
        .group((2, 0), (2, 2), "encoder")
        .group((2, 3), (2, 4), "decoder")
        .block((1, 1.5), "attention")
        .block((0, 3), "softmax")
        .arrow([(1.0, 1.5), (1.0, 3.0), (0.0, 3.0)], "context");
    for (t, word) in ["the", "black", "cat"].into_iter().enumerate() {
        figure = figure.symbol((3, t), word).block((2, t), "LSTM").arrow([(3, t), (2, t)], "");
        figure = figure.arrow([(2.0, t as f64), (1.0, 1.5)], "");
    }
    for (t, word) in [(3, "<start>"), (4, "le")] {
        figure = figure.symbol((3, t), word).block((2, t), "LSTM").arrow([(3, t), (2, t)], "");
    }
    (1..5).fold(figure, |figure, t| figure.arrow([(2, t - 1), (2, t)], ""))
}

fn block() -> Figure {
    Figure::diagram("A transformer block, pre-norm")
        .group((1, 0), (6, 0.6), "transformer block, × N")
        .symbol((0, 0), "to the next block")
        .block((1, 0), "+")
        .block((2, 0), "feed-forward")
        .block((3, 0), "layer norm")
        .block((4, 0), "+")
        .block((5, 0), "multi-head attention")
        .block((6, 0), "layer norm")
        .symbol((7, 0), "embeddings + positions")
        .arrow([(7.0, 0.0), (6.0, 0.0)], "")
        .arrow([(6, 0), (5, 0)], "")
        .arrow([(5, 0), (4, 0)], "")
        .arrow([(4, 0), (3, 0)], "")
        .arrow([(3, 0), (2, 0)], "")
        .arrow([(2, 0), (1, 0)], "")
        .arrow([(1, 0), (0, 0)], "")
        .arrow([(6.5, 0.0), (6.5, 0.7), (4.0, 0.7), (4.0, 0.0)], "")
        .arrow([(3.5, 0.0), (3.5, 0.7), (1.0, 0.7), (1.0, 0.0)], "")
}

fn masks() -> Figure {
    let mask = |name: &str, may: fn(usize, usize) -> bool| {
        let rows = (0..6).map(move |query| (0..6).map(move |key| f64::from(u8::from(may(query, key)))));
        Figure::heatmap(name, rows).x_label("key").y_label("query").scale_label("1: may attend")
    };
    let causal = mask("GPT: only what came before", |query, key| key <= query);
    let both = mask("BERT: everything", |_, _| true);
    let prefix =
        mask("Encoder–decoder: all of the source", |query, key| key < 3 || (query > 2 && key <= query));
    plot::row([causal, both, prefix]).title("Three masks, three families")
}

fn main() -> llm_course::Result<()> {
    let folder = std::path::PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".into()));
    let text = "Once upon a time there was a cat.\nIt slept, and dreamt of mice that no one had seen.";
    let surprise = text.chars().map(|c| f64::from(c as u32 * 7 % 23) / 3.0);
    let words = ["cat", "dog", "horse", "oak", "elm", "bank", "river"];
    let (xs, ys) = ([1.0, 1.2, 1.1, -0.9, -0.8, 0.2, 0.25], [0.3, 0.5, 0.28, 0.1, 0.12, -0.7, -0.72]);
    let scatter = Figure::scatter("Animals lie together, trees too")
        .x_label("first principal component")
        .y_label("second principal component")
        .points("animal", &xs[..3], &ys[..3])
        .points("plant", &xs[3..5], &ys[3..5])
        .points("other", &xs[5..], &ys[5..])
        .texts(xs, ys, words);
    let lengths = Figure::histogram("Most sentences have about seven words")
        .x_label("words in a sentence")
        .samples("train", (0..900).map(|i| i % 7 + i % 5 + i % 3))
        .samples("held out", (0..300).map(|i| i % 9 + i % 5));
    let learning =
        Figure::learning_curve(&history(), Some(0.93), [("bigram", 2.7), ("5-gram", 1.6)], Unit::Bits);
    let encodings =
        (0..50).map(|p| (0..64).map(move |i| (f64::from(p) / 100f64.powf(f64::from(i / 2) / 32.0)).sin()));
    let encodings = Figure::heatmap("Positions as waves", encodings).x_label("dimension").y_label("position");
    let figures = [
        ("learning", learning.clone()),
        ("bars", bars()),
        (
            "ladder",
            Figure::bars("One series", ["5-gram", "RNN", "LSTM", "GPT", "chance"]).bar("x", [3, 2, 1, -1, 4]),
        ),
        ("heatmap", alignment()),
        ("scaling", scaling()),
        ("gates", gates()),
        ("surprise", Figure::heat_text("First letters surprise", text, surprise).scale_label("bits")),
        ("scatter", scatter.clone()),
        ("histogram", lengths.clone()),
        ("timeline", timeline()),
        ("unrolled", unrolled()),
        ("attention", attention()),
        ("block", block()),
        ("masks", masks()),
        ("positions", encodings),
        ("row", plot::row([learning, alignment(), scatter]).title("Three panels")),
        ("grid", plot::grid(2, [bars(), lengths, unrolled(), timeline()])),
    ];
    for (name, figure) in figures {
        figure.save(folder.join(name).with_extension("png"))?;
    }
    Ok(())
}
