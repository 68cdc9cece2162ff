//! Links between lessons lead somewhere: to notebooks that exist, and to terms that the glossary has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use course::paths::Course;
use course::runner::lessons::{in_folder, stem};
use regex::Regex;

/// The lesson that holds the glossary and the map of lessons.
const START: &str = "00_start_here";

/// The sources of all lessons by name, `01_char_rnn` and so on.
type Sources = BTreeMap<String, String>;

fn sources(course: &Course) -> Sources {
    let files = in_folder(&course.sources(), "md");
    files.iter().map(|path| (stem(path), std::fs::read_to_string(path).expect("a text"))).collect()
}

/// A text without its code cells.
fn prose(text: &str) -> String {
    static CODE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?ms)^```.*?^```").expect("a fixed pattern"));
    CODE.replace_all(text, "").into_owned()
}

/// What JupyterLab and GitHub make of headings: spaces become hyphens, all else stays.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text);
    let headings = headings
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    headings.map(|heading| heading.trim().replace(['`', '*'], "").replace(' ', "-")).collect()
}

/// The terms of the glossary with their explanations, in the order of the text.
fn glossary(start: &str) -> Vec<(String, String)> {
    let text = start.split_once("\n## Glossary\n").expect("lesson 00 has a glossary").1;
    let entries = text.split("\n##### ").skip(1);
    let entries = entries.map(|entry| entry.split_once('\n').expect("a term and an explanation"));
    entries.map(|(term, text)| (term.to_owned(), text.trim().to_owned())).collect()
}

/// Every link of the prose that leads nowhere, one line each; `is_file` knows paths below `notebooks/`.
fn broken_links(sources: &Sources, is_file: impl Fn(&str) -> bool) -> Vec<String> {
    static LINK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)").expect("a fixed pattern"));
    let mut broken = Vec::new();
    for (lesson, text) in sources {
        for link in LINK.captures_iter(&prose(text)) {
            let path = &link[1];
            if path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            let name = path.strip_prefix("solutions/").unwrap_or(path).strip_suffix(".ipynb");
            let target =
                if path.is_empty() { sources.get(lesson) } else { name.and_then(|name| sources.get(name)) };
            match (target, link.get(2).map(|anchor| anchor.as_str())) {
                (None, _) if name.is_some() || !is_file(path) => {
                    broken.push(format!("{lesson} links to {path}, which does not exist"));
                }
                (Some(text), Some(anchor)) if !anchors(text).contains(anchor) => {
                    let where_to = if path.is_empty() { lesson } else { name.unwrap_or(path) };
                    broken.push(match where_to == START {
                        true => format!(
                            "{lesson} links to the term {anchor}, which the glossary lacks (capitals count)"
                        ),
                        false => {
                            format!("{lesson} links to {where_to}#{anchor}, and there is no such heading")
                        }
                    });
                }
                _ => {}
            }
        }
    }
    broken
}

/// The rows `| 01 | … |` of the map: number, and whether the lesson is to come.
fn announced(start: &str) -> BTreeMap<String, bool> {
    let rows = start.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let rows = rows.filter(|(number, _)| number.len() == 2 && number.parse::<u8>().is_ok());
    rows.map(|(number, rest)| (number.to_owned(), rest.contains("(to come)"))).collect()
}

#[test]
fn every_link_of_the_lessons_leads_somewhere() {
    let course = Course::find().expect("tests run in the checkout");
    let broken = broken_links(&sources(&course), |path| course.notebooks().join(path).is_file());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_map_names_every_lesson() {
    let sources = sources(&Course::find().expect("tests run in the checkout"));
    let announced = announced(&sources[START]);
    for lesson in sources.keys() {
        let to_come =
            announced.get(&lesson[..2]).unwrap_or_else(|| panic!("{lesson} is not in the map of lesson 00"));
        assert!(!to_come, "{lesson} exists: the map of lesson 00 calls it \"to come\"");
    }
}

#[test]
fn every_term_is_explained_once_in_order_and_names_its_lesson() {
    let sources = sources(&Course::find().expect("tests run in the checkout"));
    let announced = announced(&sources[START]);
    let terms = glossary(&sources[START]);
    assert!(terms.len() > 100, "{} terms", terms.len());
    for pair in terms.windows(2) {
        assert!(pair[0].0.to_lowercase() < pair[1].0.to_lowercase(), "{} before {}", pair[0].0, pair[1].0);
    }
    for (term, text) in &terms {
        let plain = |c: char| c.is_ascii_alphanumeric() || " -".contains(c);
        assert!(term.chars().all(plain), "{term}: letters, digits, spaces and hyphens make safe anchors");
        let (text, lesson) = text.rsplit_once("*Lesson ").unwrap_or_else(|| panic!("{term} names no lesson"));
        let number = lesson.get(..2).unwrap_or_default();
        assert!(announced.contains_key(number), "{term}: lesson {number} is not in the map");
        let words = text.split_whitespace().count();
        assert!((3..=60).contains(&words), "{term} is explained in {words} words");
    }
}

#[test]
fn broken_links_are_named_with_lesson_and_term() {
    let lesson = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let sources = Sources::from([
        lesson(START, "# Map\n\n## Glossary\n\n##### beam search\n\nSee [greedy](#greedy).\n"),
        lesson(
            "03_seq2seq",
            "# Seq2seq\n\n[a](00_start_here.ipynb#beam-search) [b](00_start_here.ipynb#Beam-search) [c](00_start_here.ipynb)\n\
             [d](04_attention.ipynb) [e](solutions/03_seq2seq.ipynb) [f](solutions/05_x.ipynb) [g](https://example.org#x)\n\
             [h](../README.md) [i](../NONE.md) [j](03_seq2seq.ipynb#Nowhere)\n```rust\nlet x = y[0](nothing.ipynb);\n```\n",
        ),
    ]);
    let broken = broken_links(&sources, |path| path == "../README.md");
    let expected = [
        "00_start_here links to the term greedy, which",
        "03_seq2seq links to the term Beam-search, which",
        "03_seq2seq links to 04_attention.ipynb, which does not exist",
        "03_seq2seq links to solutions/05_x.ipynb, which does not exist",
        "03_seq2seq links to ../NONE.md, which does not exist",
        "03_seq2seq links to 03_seq2seq#Nowhere, and",
    ];
    assert_eq!(broken.len(), expected.len(), "{broken:#?}");
    for (got, want) in broken.iter().zip(expected) {
        assert!(got.starts_with(want), "{got}");
    }
}
