//! Every kind of figure becomes a PNG of the stated size with the right ink in it, whatever the data.

use llm_course::plot::{self, Figure, Unit, family_colour, power_law};
use llm_course::train::History;
use llm_course::{Error, Result};

/// A decoded image: width, height and one colour a pixel.
struct Image {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Image {
    fn of(figure: &Figure) -> Self {
        let bytes = figure.png().unwrap();
        assert!(bytes.len() <= 60_000, "a figure of {} bytes makes notebooks heavy", bytes.len());
        let mut decoder = png::Decoder::new(bytes.as_slice());
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut buffer = vec![0; reader.output_buffer_size()];
        let info = reader.next_frame(&mut buffer).unwrap();
        assert_eq!(info.color_type, png::ColorType::Rgb, "opaque, so that it reads on a dark page");
        let pixels = buffer.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect();
        Self { width: info.width as usize, height: info.height as usize, pixels }
    }

    fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// How many pixels in a rectangle of the image (left, top, right, bottom) are not white.
    fn ink(&self, (left, top, right, bottom): (usize, usize, usize, usize)) -> usize {
        let rows = (top..bottom.min(self.height)).map(|y| y * self.width);
        let pixels = rows.flat_map(|row| &self.pixels[row + left..row + right.min(self.width)]);
        pixels.filter(|pixel| **pixel != [255; 3]).count()
    }

    fn all_ink(&self) -> usize {
        self.ink((0, 0, self.width, self.height))
    }

    fn count(&self, colour: [u8; 3]) -> usize {
        let near = |p: &&[u8; 3]| p.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 3);
        self.pixels.iter().filter(near).count()
    }

    fn has_white_margin(&self) -> bool {
        let edge = 10;
        let (width, height) = self.size();
        let sides = [(0, 0, width, edge), (0, height - edge, width, height), (0, 0, edge, height)];
        sides.into_iter().all(|side| self.ink(side) == 0) && self.ink((width - edge, 0, width, height)) == 0
    }
}

fn curves() -> Figure {
    let steps: Vec<i64> = (0..=2000).step_by(20).collect();
    let curve =
        |end: f64| steps.iter().map(move |s| end + 3.3 * (-s as f64 / 250.0).exp()).collect::<Vec<_>>();
    Figure::lines("The LSTM ends near the floor, the RNN above it")
        .x_label("training step")
        .y_label("bits per character")
        .line("RNN train", &steps, curve(1.38))
        .line("RNN validation", &steps, curve(1.42))
        .line("LSTM train", &steps, curve(1.0))
        .line("LSTM validation", &steps, curve(1.05))
        .level("5-gram", 1.6)
        .level("entropy floor", 0.93)
}

fn attention() -> Figure {
    let tokens = ["the", " black", " cat", "\n"];
    let weights = [[0.9, 0.1, 0.0, 0.0], [0.0, 0.2, 0.8, 0.0], [0.1, 0.7, 0.2, 0.0], [0.0, 0.0, 0.1, 0.9]];
    Figure::heatmap("The adjective moves behind its noun", weights)
        .rows(["le", "chat", "noir", "\n"])
        .columns(tokens)
        .x_label("English")
        .y_label("French")
        .mark_cells("gold alignment", [(0, 0), (1, 2), (2, 1), (3, 3)])
        .scale_label("attention weight")
        .numbers()
}

fn surprise() -> Figure {
    let text = "Once upon a time there was a cat.\nIt slept.";
    Figure::heat_text("First letters surprise", text, text.chars().map(|c| (c as u32 % 7) as f32))
        .scale_label("bits")
}

fn history() -> History {
    let mut history = History::new("LSTM");
    let loss = |step: f64| 0.7 + 2.0 * (-step / 100.0).exp();
    history.train = (0..400).map(|step| loss(f64::from(step)) - 0.05).collect();
    history.steps = (1..=20).map(|validation| 20 * validation).collect();
    history.validation = history.steps.iter().map(|step| loss(*step as f64)).collect();
    history
}

fn scaling() -> Figure {
    let sizes = [1e4, 1e5, 1e6, 1e7];
    Figure::lines("A power law is straight")
        .points("GPT", sizes, sizes.map(|size: f64| 6.0 * size.powf(-0.2)))
        .fit_power("GPT")
}

const EVENTS: [(i32, &str); 12] = [
    (1990, "RNN (Elman)"),
    (1997, "LSTM (Hochreiter and Schmidhuber)"),
    (2014, "GRU (Cho)"),
    (2014, "seq2seq (Sutskever)"),
    (2014, "attention (Bahdanau)"),
    (2015, "byte-pair encoding (Sennrich)"),
    (2017, "transformer (Vaswani)"),
    (2018, "GPT (Radford)"),
    (2018, "BERT (Devlin)"),
    (2019, "GPT-2 (Radford)"),
    (2020, "GPT-3 (Brown)"),
    (2022, "instructions (Ouyang)"),
];

fn timeline() -> Figure {
    let start = Figure::timeline("Half of the path in four years");
    EVENTS.into_iter().fold(start, |figure, (year, name)| figure.event(year, name))
}

fn unrolled() -> Figure {
    let start = Figure::diagram("One cell at every step").group((1, 0), (1, 2), "RNN");
    let figure = (0..3).fold(start, |figure, t| {
        figure.symbol((2, t), format!("x{t}")).block((1, t), "cell").arrow([(2, t), (1, t)], "W")
    });
    figure.arrow([(1, 0), (1, 1)], "h").arrow([(1, 1), (1, 2)], "h").wide_block(0, (0, 2), "LSTM head")
}

fn all_kinds() -> Vec<(&'static str, Figure)> {
    let ladder = Figure::bars("Each rung buys less", ["5-gram", "RNN", "LSTM", "transformer"])
        .bar_with_errors("bits per byte", [1.6, 1.4, 1.2, 1.1], [0.0, 0.03, 0.02, 0.02])
        .level("entropy floor", 0.93);
    let meanings = Figure::scatter("Meanings lie apart")
        .points("GPT", [1.0, 1.1, -1.0], [0.2, 0.3, -0.4])
        .texts([1.0, 1.1, -1.0], [0.2, 0.3, -0.4], ["bank", "loan", "river"]);
    let lengths = Figure::histogram("Seven words").samples("train", (0..200).map(|i| i % 7 + i % 5));
    let tokens = Figure::heat_tokens("Rare tokens surprise", ["The", " cat", "\n"], [3.0, 5.0, 0.1]);
    let gates = Figure::ribbons("The gate closes", "So. Go.").ribbon("forget", 0..7).ribbon("input", 1..8);
    vec![
        ("lines", curves()),
        ("bars", ladder),
        ("heatmap", attention()),
        ("heat_text", surprise()),
        ("heat_tokens", tokens),
        ("ribbons", gates),
        ("scatter", meanings),
        ("histogram", lengths),
        ("learning curve", Figure::learning_curve(&history(), Some(0.93), [("5-gram", 1.6)], Unit::Bits)),
        ("power law", scaling()),
        ("timeline", timeline()),
        ("diagram", unrolled()),
    ]
}

#[test]
fn every_kind_draws_title_and_data_inside_a_white_margin() {
    for (kind, figure) in all_kinds() {
        let image = Image::of(&figure);
        assert_eq!(image.width, 1520, "{kind}");
        assert!(image.has_white_margin(), "{kind}");
        let title = image.ink((28, 28, 400, 68));
        assert!((500..12_000).contains(&title), "{kind}: {title} pixels of title");
        assert!(image.ink((0, 80, image.width, image.height)) > 2000, "{kind}");
    }
}

#[test]
fn size_is_in_css_pixels_at_two_image_pixels_each() {
    assert_eq!(Image::of(&curves()).size(), (1520, 840));
    for (kind, figure) in all_kinds() {
        assert_eq!(Image::of(&figure.size(500, 300)).size(), (1000, 600), "{kind}");
    }
}

#[test]
fn families_keep_their_colours_in_every_kind() {
    let families =
        ["floor", "n-gram", "RNN", "GRU", "LSTM", "seq2seq", "attention", "transformer", "GPT", "BERT"];
    let mut colours: Vec<[u8; 3]> = families.iter().map(|name| family_colour(name).unwrap()).collect();
    for (name, colour) in families.iter().zip(&colours) {
        let level = [0.0, 1.0];
        let line = Figure::lines("One").line(format!("{name} validation"), [0, 1], level);
        assert!(Image::of(&line).count(*colour) > 300, "{name} as a line");
        let bar = Figure::bars("One", [name]).bar("value", [1.0]);
        assert!(Image::of(&bar).count(*colour) > 10_000, "{name} as a bar");
    }
    colours.sort();
    colours.dedup();
    assert_eq!(colours.len(), families.len());
    assert_eq!(family_colour("rnn, 64 wide"), family_colour("RNN"));
    assert_eq!(family_colour("7-gram"), family_colour("n-gram"));
    assert_eq!(family_colour("without attention"), family_colour("seq2seq"));
    assert_eq!(family_colour("bag of words"), None);
}

#[test]
fn training_is_paler_than_validation() {
    let image = |name: &str| Image::of(&Figure::lines("One").line(name, [0, 1], [0, 1]));
    let colour = family_colour("LSTM").unwrap();
    assert!(image("LSTM validation").count(colour) > 300);
    assert!(image("LSTM train").count(colour) < 50);
}

#[test]
fn names_outside_the_families_get_different_colours() {
    let figure = Figure::bars("Free", ["here"]).bar("scaled", [1]).bar("unscaled", [1]).bar("RNN", [1]);
    let image = Image::of(&figure);
    for colour in [[0, 114, 178], [213, 94, 0], family_colour("RNN").unwrap()] {
        assert!(image.count(colour) > 5000, "{colour:?}");
    }
}

#[test]
fn rows_and_grids_add_up_their_panels() {
    let panel = |width, height| curves().size(width, height);
    let row = plot::row([panel(400, 300), panel(300, 200), panel(260, 250)]);
    assert_eq!(Image::of(&row).size(), (2 * 960, 600));
    let grid = plot::grid(2, [panel(400, 300), panel(300, 200), panel(260, 250)]);
    assert_eq!(Image::of(&grid).size(), (2 * 700, 2 * 550));
    let shared = Image::of(&plot::row([curves(), attention(), surprise()]).title("All three"));
    assert_eq!(shared.width, 2 * 960);
    assert!(shared.ink((28, 28, 400, 68)) > 500, "the title of the whole");
    for third in 0..3 {
        assert!(shared.ink((third * 640, 80, (third + 1) * 640, shared.height)) > 2000, "panel {third}");
    }
}

#[test]
fn values_that_cannot_be_drawn_are_left_out_and_counted() {
    let holes = [3.0, f64::NAN, 2.0, f64::INFINITY, 1.0, 0.0];
    let svg = Figure::lines("Holes").line("loss", 0..6, holes).log_y().svg().unwrap();
    assert!(svg.contains("2 points left out: not finite; 1 point left out: 0 or negative on a log axis"));
    let svg =
        Figure::bars("Holes", ["a", "b"]).bar("x", [f64::NAN, 1.0]).level("old", f64::NAN).svg().unwrap();
    assert!(svg.contains("1 bar left out: not finite") && svg.contains("at NaN left out"));
    let svg = Figure::heatmap("Holes", [[f64::NAN, 1.0]]).svg().unwrap();
    assert!(svg.contains("1 grey cell: not finite"));
    let svg = Figure::ribbons("Holes", "ab").ribbon("gate", [f64::NAN, f64::INFINITY]).svg().unwrap();
    assert!(svg.contains("2 grey values: not finite"));
    let svg = Figure::histogram("Holes").samples("a", [1.0, f64::NAN]).svg().unwrap();
    assert!(svg.contains("1 value left out: not finite"));
    let svg = scaling().points("LSTM", [1.0, 0.0, f64::NAN], [1.0; 3]).fit_power("LSTM").svg().unwrap();
    assert!(svg.contains("1 point left out: not finite; 1 point left out: 0 or negative on a log axis"));
    let svg = timeline().event(f64::NAN, "never").svg().unwrap();
    assert!(svg.contains("1 event left out: the year is not finite") && !svg.contains("never"));
    let svg = unrolled().block((f64::NAN, 0.0), "nowhere").svg().unwrap();
    assert!(svg.contains("1 part left out: the place is not finite") && !svg.contains("nowhere"));
    let mut holes = history();
    holes.validation[3] = f64::NAN;
    let svg =
        Figure::learning_curve(&holes, Some(f64::NAN), [("chance", f64::NAN)], Unit::Nats).svg().unwrap();
    assert!(svg.contains("1 point left out: not finite") && svg.contains("at NaN left out"));
    assert!(Figure::lines("Nothing").svg().unwrap().contains("no data"));
}

#[test]
fn degenerate_data_still_gives_a_picture() {
    let none = Vec::<f64>::new;
    let line = |ys: Vec<f64>| Figure::lines("Line").line("RNN", 0..ys.len(), ys);
    let long = "an endless name ".repeat(40);
    let mut constant = History::new("GPT");
    (constant.train, constant.steps, constant.validation) = (vec![1.0], vec![1], vec![1.0]);
    let mut figures = vec![
        Figure::lines(""),
        Figure::lines("").line("", none(), none()),
        line(vec![2.0]),
        line(vec![3.0; 5]),
        line(vec![0.0; 5]),
        line(vec![f64::NAN; 5]),
        line(vec![f64::MAX, f64::MIN, 0.0]),
        line(vec![1e-310, 2e-310]),
        line(vec![1.0, 1.0 + 1e-15]),
        line(vec![-1.0, 0.0]).log_y().log_x(),
        line(vec![1.0, 2.0]).y_range(5, 6).x_range(10, 20).mark_x("far", 1e9),
        line(vec![1.0, 2.0]).log_y().y_range(-1, 1).log_x().x_range(-1, 1),
        line(vec![1e-300, 1e300]).log_y(),
        curves().title(long.clone()).x_label(long.clone()).y_label(long.clone()).size(150, 150),
        (0..40).fold(Figure::lines("Many"), |f, i| f.line(format!("{long} {i}"), [0, 1], [i, i])),
        Figure::bars("", [long.as_str(), "", "\n", "Größe π ≥ 3", "猫 🐈"]).bar("a", [1, 0, -1, 5, 7]),
        Figure::bars("Many", (0..200).map(|i| i.to_string())).bar("a", 0..200).bar("b", 0..200),
        Figure::bars("None", Vec::<String>::new()),
        Figure::bars("Log", ["a"]).bar("b", [0.0]).log_y(),
        Figure::heatmap("", Vec::<Vec<f64>>::new()),
        Figure::heatmap("", [Vec::<f64>::new()]),
        Figure::heatmap("", [[f64::NAN]]).numbers(),
        Figure::heatmap("", [[1.0; 3]; 3]).rows([&long; 3]).columns([&long; 3]).numbers().size(150, 150),
        Figure::heatmap("Large", (0..200).map(|i| (0..150).map(move |j| i * j))),
        Figure::heat_text("", "", none()),
        Figure::heat_text(long.clone(), "\n\t \u{7}猫", [1.0, f64::NAN, 0.0, -1.0, 2.0]).size(150, 150),
        Figure::heat_tokens("", [&long], [1]),
        Figure::ribbons("No ribbon", "text"),
        Figure::scatter("").texts([0.0, f64::NAN], [0.0, 0.0], ["a", "b"]),
        Figure::scatter("Same place").points("a", [1.0; 20], [1.0; 20]).texts([1; 20], [1; 20], [&long; 20]),
        Figure::histogram("").samples("a", none()),
        Figure::histogram("").samples("a", [5.0; 9]).log_y(),
        Figure::histogram("").samples("a", [f64::NAN, f64::MAX, f64::MIN]).bins(500),
        Figure::histogram("Two").samples("a", [1]).samples("b", [1.5, f64::NAN]).size(150, 150),
        Figure::bars("", ["a"]).bar_with_errors("b", [1.0], [f64::NAN]),
        Figure::bars("", ["a", "b"]).bar_with_errors("b", [2, 2], [5, 0]).log_y(),
        Figure::learning_curve(&History::new(""), None, [("", 1)], Unit::Nats),
        Figure::learning_curve(&constant, Some(1.0), [("5-gram", 1.0)], Unit::Nats),
        Figure::lines("None").points("a", none(), none()).fit_power("a"),
        Figure::lines("One").points("a", [5], [5]).fit_power("a"),
        Figure::lines("Two").points("a", [5, 7], [5, 5]).fit_power("a"),
        Figure::lines("Column").points("a", [5; 9], 1..10).fit_power("a").size(150, 150),
        Figure::timeline(""),
        Figure::timeline("One").event(1990, long.clone()),
        Figure::timeline("Same").event(1990, "").event(1990, "a").event(1990, "a").size(150, 150),
        (0..200).fold(Figure::timeline("Many"), |f, i| f.event(1990.0 + f64::from(i) / 100.0, "event")),
        Figure::timeline("Far").event(f64::MAX, "end").event(-1e9, "start").event(f64::NAN, "never"),
        Figure::diagram(""),
        Figure::diagram("One").block((0, 0), long.clone()),
        Figure::diagram("Same place").block((1, 1), "").symbol((1, 1), "a").arrow([(1, 1), (1, 1)], "self"),
        Figure::diagram("Bare").arrow([(0, 0)], "point").arrow(Vec::<(i32, i32)>::new(), "none"),
        Figure::diagram("Far").block((1e9, -1e9), "+").group((0, 0), (-1, -1), long.clone()).size(150, 150),
    ];
    figures.push(plot::grid(3, figures.clone()));
    for (index, figure) in figures.iter().enumerate() {
        let bytes = figure.png().unwrap_or_else(|error| panic!("figure {index}: {error}"));
        assert!(bytes.len() > 300, "figure {index}");
    }
    assert!(Image::of(&line(vec![2.0])).all_ink() > 2000);
}

#[test]
fn mistakes_are_reported_with_advice() {
    let message = |figure: Figure| match figure.png() {
        Err(Error::Input(message)) => message,
        other => panic!("expected a mistake, got {:?}", other.map(|png| png.len())),
    };
    let uneven = Figure::lines("Uneven").line("train", [0, 1, 2], [4.7, 2.1]);
    assert!(message(uneven.clone()).contains("3 x values but 2 y values"));
    assert!(message(plot::row([curves(), uneven.clone()])).contains("\"train\""));
    assert!(message(Figure::bars("", ["a", "b"]).bar("x", [1])).contains("1 values but 2 categories"));
    assert!(message(Figure::bars("", ["a"]).line("x", [1], [1])).contains("begin with `Figure::lines`"));
    assert!(message(Figure::heatmap("", [vec![1, 2], vec![3]])).contains("row 1"));
    assert!(message(Figure::heatmap("", [[1]]).mark_cells("", [(1, 0)])).contains("(1, 0) is outside"));
    assert!(message(Figure::heat_text("", "cat", [1, 2])).contains("3 characters"));
    assert!(message(curves().y_range(2, 1)).contains("the smaller one first"));
    assert!(message(curves().size(5, 5)).contains("150 to 4000"));
    assert!(message(curves().fit_power("GRU")).contains("nothing is called \"GRU\""));
    assert!(message(curves().event(1990, "RNN")).contains("begin with `Figure::timeline`"));
    assert!(message(curves().block((0, 0), "RNN")).contains("begin with `Figure::diagram`"));
    assert!(message(plot::grid(0, [curves()])).contains("0 columns"));
    assert!(message(plot::row([])).contains("at least one"));
    uneven.evcxr_display(); // prints the message, does not panic
}

#[test]
fn saves_png_and_svg_by_the_extension() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("llm_course-plot-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    curves().save(folder.join("curves.PNG"))?;
    curves().save(folder.join("curves.svg"))?;
    assert!(std::fs::read(folder.join("curves.PNG")).unwrap().starts_with(b"\x89PNG"));
    let svg = std::fs::read_to_string(folder.join("curves.svg")).unwrap();
    assert!(svg.starts_with("<svg width=\"760\" height=\"420\"") && svg.contains("entropy floor 0.93"));
    let wrong = curves().save(folder.join("curves.gif")).unwrap_err().to_string();
    assert!(wrong.contains(".png or .svg"), "{wrong}");
    assert!(matches!(curves().save(folder.join("none/curves.png")), Err(Error::File { .. })));
    std::fs::remove_dir_all(folder).unwrap();
    Ok(())
}

#[test]
fn tokens_show_their_blanks() {
    let svg = attention().svg().unwrap();
    assert!(svg.contains("␣black") && svg.contains("⏎"));
    assert!(surprise().svg().unwrap().contains("⏎"));
}

#[test]
fn figures_can_be_kept_between_cells() {
    fn keepable<T: Clone + Send + Sync + 'static>(_: &T) {}
    keepable(&curves());
}

#[test]
fn gold_marks_outline_their_cells() {
    let gold = [230, 159, 0];
    let map = Figure::heatmap("Plain", [[0.1, 0.9], [0.9, 0.1]]).size(400, 300);
    assert_eq!(Image::of(&map).count(gold), 0);
    let marked =
        |cells: &[(usize, usize)]| Image::of(&map.clone().mark_cells("", cells.to_vec())).count(gold);
    let (one, two) = (marked(&[(0, 1)]), marked(&[(0, 1), (1, 0)]));
    assert!(one > 500, "{one} gold pixels around a cell of 88 × 88");
    assert!(two.abs_diff(2 * one) < one / 20, "two cells have twice the outline: {one} and {two}");
}

/// Anscombe's first data set (The American Statistician 27, 1973) on logarithmic axes; R's `lm` gives the
/// slope 0.5001 with standard error 0.1179 and the intercept 3.0001.
#[test]
fn power_laws_equal_the_published_regression() {
    let x = [10.0, 8.0, 13.0, 9.0, 11.0, 14.0, 6.0, 4.0, 12.0, 7.0, 5.0];
    let y = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68];
    let law = power_law(x.map(f64::exp), y.map(f64::exp));
    assert!((law.exponent - 0.5001).abs() < 5e-5, "{law:?}");
    assert!((law.error - 0.1179).abs() < 5e-5, "{law:?}");
    assert!((law.factor.ln() - 3.0001).abs() < 5e-5, "{law:?}");
}

#[test]
fn power_laws_leave_out_what_has_no_logarithm() {
    let law = power_law([1.0, 4.0, 16.0, 0.0, -1.0, f64::NAN], [8.0, 4.0, 2.0, 5.0, 5.0, 5.0]);
    assert!((law.exponent + 0.5).abs() < 1e-12 && (law.factor - 8.0).abs() < 1e-12 && law.error < 1e-12);
    assert!((law.at(64.0) - 1.0).abs() < 1e-12);
    let two = power_law([1, 4], [8, 4]);
    assert!((two.exponent + 0.5).abs() < 1e-12 && two.error.is_nan(), "two points have no error");
    for (xs, ys) in [(vec![], vec![]), (vec![3], vec![5]), (vec![3, 3, 3], vec![5, 6, 7])] {
        assert!(power_law(&xs, &ys).exponent.is_nan(), "{xs:?}");
    }
}

#[test]
fn a_fitted_line_has_the_colour_of_its_points_and_names_the_exponent() {
    assert!(scaling().svg().unwrap().contains("GPT: exponent −0.2 ± "));
    let gpt = family_colour("GPT").unwrap();
    let points = Figure::lines("").points("GPT", [1e4, 1e7], [1.0, 0.2]).log_x().log_y();
    let (bare, fitted) = (Image::of(&points).count(gpt), Image::of(&points.fit_power("GPT")).count(gpt));
    assert!(fitted > bare + 2000, "{bare} pixels of points, {fitted} with the line");
}

#[test]
fn a_learning_curve_shows_train_validation_floor_and_the_best_baseline() {
    let baselines = [("bigram", 2.7), ("5-gram", 1.6), ("trigram", 2.0)];
    let figure = Figure::learning_curve(&history(), Some(0.93), baselines, Unit::Bits);
    let svg = figure.svg().unwrap();
    for name in ["LSTM train", "LSTM validation", "entropy floor 0.93", "5-gram 1.6", "cross-entropy (bits)"]
    {
        assert!(svg.contains(name), "{name}");
    }
    assert!(!svg.contains("bigram") && !svg.contains("trigram"), "only the best baseline");
    // 0.7 + 2 exp(−4) nats are 1.06 bits.
    assert!(svg.contains("LSTM ends at 1.06 bits, 0.13 above the floor, 0.54 below the 5-gram"));
    let nats = Figure::learning_curve(&history(), None, [("5-gram", 0.5)], Unit::Nats).svg().unwrap();
    assert!(nats.contains("LSTM ends at 0.74 nats, 0.24 above the 5-gram") && !nats.contains("floor"));
}

/// An attribute of an SVG element, in CSS pixels where it is a length.
fn attribute(element: &str, name: &str) -> f64 {
    let (_, rest) = element.split_once(&format!(" {name}=\"")).expect("the attribute");
    rest[..rest.find('"').unwrap()].parse::<f64>().unwrap() / 20.0
}

#[test]
fn a_timeline_is_to_scale() {
    let svg = timeline().svg().unwrap();
    let dots: Vec<f64> = svg.split("<circle").skip(1).map(|dot| attribute(dot, "cx")).collect();
    assert_eq!(dots.len(), EVENTS.len());
    let scale = (dots[11] - dots[0]) / f64::from(EVENTS[11].0 - EVENTS[0].0);
    for (dot, (year, name)) in dots.iter().zip(EVENTS) {
        let wanted = dots[0] + scale * f64::from(year - 1990);
        assert!((dot - wanted).abs() < 0.1, "{name} at {dot}, not {wanted}");
    }
}

#[test]
fn names_on_a_timeline_do_not_overlap() {
    for figure in [timeline(), timeline().size(460, 700)] {
        let svg = figure.svg().unwrap();
        let mut texts: Vec<(f64, f64, f64, &str)> = Vec::new();
        for text in svg.split("<text").skip(1).filter(|text| !text.contains("bold")) {
            let words = text[text.find('>').unwrap() + 1..text.find("</text>").unwrap()].trim();
            let (x, y, width) =
                (attribute(text, "x"), attribute(text, "y"), 6.0 * words.chars().count() as f64);
            let left = match text {
                text if text.contains("\"end\"") => x - width,
                text if text.contains("\"middle\"") => x - width / 2.0,
                _ => x,
            };
            texts.push((left, left + width, y, words));
        }
        assert!(texts.len() > EVENTS.len());
        for (index, a) in texts.iter().enumerate() {
            for b in &texts[..index] {
                let apart = a.1 <= b.0 || b.1 <= a.0 || (a.2 - b.2).abs() >= 12.0;
                assert!(apart, "\"{}\" over \"{}\"", a.3, b.3);
            }
        }
    }
}

#[test]
fn diagrams_colour_families_and_connect_blocks() {
    let family = family_colour("LSTM").unwrap();
    let blocks = Figure::diagram("").block((1, 0), "LSTM").block((0, 0), "softmax");
    let image = Image::of(&blocks);
    assert!(image.count(family) > 800, "the outline of the LSTM");
    // Between the two blocks there is nothing, then the arrow with its label.
    let gap = (760 - 100, 124, 760 + 100, 164);
    assert_eq!(image.ink(gap), 0);
    let joined = Image::of(&blocks.arrow([(1, 0), (0, 0)], "h"));
    assert!((20..400).contains(&joined.ink(gap)), "{} pixels of arrow", joined.ink(gap));
}
