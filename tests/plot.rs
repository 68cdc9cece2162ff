//! Every kind of figure becomes a PNG of the stated size with the right ink in it, whatever the data.

use llm_course::plot::{self, Figure, family_colour};
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
    assert!(Figure::lines("Nothing").svg().unwrap().contains("no data"));
}

#[test]
fn degenerate_data_still_gives_a_picture() {
    let none = Vec::<f64>::new;
    let line = |ys: Vec<f64>| Figure::lines("Line").line("RNN", 0..ys.len(), ys);
    let long = "an endless name ".repeat(40);
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
    ];
    figures.push(plot::grid(3, figures.clone()));
    for (index, figure) in figures.iter().enumerate() {
        let t = std::time::Instant::now();
        let svg = figure.svg().unwrap().len();
        eprintln!("{index} svg {svg} {:?}", t.elapsed());
        let bytes = figure.png().unwrap_or_else(|error| panic!("figure {index}: {error}"));
        eprintln!("{index} png {:?}", t.elapsed());
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
