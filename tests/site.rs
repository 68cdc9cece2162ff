//! The checker of the static pages: it passes sound pages and names each planted fault.

use std::fs;
use std::path::Path;

use course::site::{missing_figures, problems};

/// Two pages that link to each other, with a picture, a style sheet, a link to another server, and codes in links.
const INDEX: &str = r#"<html><head><title>Course</title><link rel="stylesheet" href="_static/a.css?v=1"></head><body>
<a href="lessons/one.html#a-%26-b">one</a> <a href="https://example.org/x">elsewhere</a>
<img alt="" src="_images/p.png"> <script src="_static/s.js"></script></body></html>"#;
const ONE: &str = r##"<html><head><title>One</title></head><body><h2 id="a-&-b">A &amp; B</h2>
<a href="#a-&amp;-b">here</a> <a href="../index.html">back</a></body></html>"##;

fn pages(index: &str, one: &str, sheet: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    write("index.html", index);
    write("lessons/one.html", one);
    write("_static/a.css", sheet);
    write("_static/s.js", "");
    write("_images/p.png", "");
    problems(folder.path()).expect("pages")
}

#[test]
fn sound_pages_have_no_problems() {
    assert_eq!(pages(INDEX, ONE, "body { background: url(p.png) }"), Vec::<String>::new());
}

#[test]
fn every_planted_fault_is_named() {
    let faults = [
        ("one.html#a-%26-b", "two.html", "index.html: lessons/two.html leads nowhere"),
        ("#a-%26-b", "#a-%26-c", "index.html: lessons/one.html#a-&-c: the page has no such place"),
        ("_images/p.png", "_images/q.png", "index.html: _images/q.png leads nowhere"),
        (
            "_static/s.js",
            "https://cdn.example/s.js",
            "index.html: <script> loads https://cdn.example/s.js from elsewhere",
        ),
        (
            "_static/a.css",
            "//cdn.example/a.css",
            "index.html: <link> loads //cdn.example/a.css?v=1 from elsewhere",
        ),
        ("<title>Course</title>", "<title></title>", "index.html: no title"),
    ];
    for (sound, fault, problem) in faults {
        assert!(INDEX.contains(sound), "{sound}");
        assert_eq!(pages(&INDEX.replace(sound, fault), ONE, ""), [problem]);
    }
    let one = ONE.replace("../index.html", "index.html");
    assert_eq!(pages(INDEX, &one, ""), ["lessons/one.html: index.html leads nowhere"]);
    let sheet = "@font-face { src: url('https://fonts.example/f.woff2') }";
    assert_eq!(
        pages(INDEX, ONE, sheet),
        ["_static/a.css: loads url('https://fonts.example/f.woff2 from elsewhere"]
    );
}

#[test]
fn a_figure_that_a_page_lacks_is_named() {
    let (source, made) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    for folder in [&source, &made] {
        fs::create_dir(folder.path().join("notebooks")).expect("a folder");
    }
    let png = r#""image/png": "iVBOR""#;
    fs::write(source.path().join("notebooks/01.ipynb"), [png, png].join(",")).expect("a file");
    let shows = |count| {
        let page = r#"<img alt="" src="p.png">"#.repeat(count);
        fs::write(made.path().join("notebooks/01.html"), page).expect("a file");
        missing_figures(source.path(), made.path()).expect("pages")
    };
    assert_eq!(shows(2), Vec::<String>::new());
    assert_eq!(shows(1), ["notebooks/01.html: 1 of 2 figures"]);
}
