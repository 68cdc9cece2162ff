//! `cargo course site`: the executed notebooks, the README and the handouts as static pages, by Sphinx with MyST-NB.
//!
//! The pages need no network: MathJax lies beside them, and [`problems`] refuses a page that loads anything from elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail};
use percent_encoding::percent_decode_str;
use regex::Regex;

use crate::paths::Course;
use crate::runner::lessons::{in_folder, stem};
use crate::setup;

/// Renders all executed notebooks and the handouts to static pages in .course/site.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct SiteArgs {
    /// Also opens every page in headless Chromium, wide and narrow, light and dark (needs chromium and chromedriver).
    #[arg(long)]
    pub browser: bool,
}

/// The pages' navigation, after the README: lessons, solved lessons, what else there is.
const CONTENTS: &str = "
```{toctree}
:hidden:
:caption: Lessons
:glob:
notebooks/[0-9]*
```

```{toctree}
:hidden:
:caption: Solved
:glob:
notebooks/solutions/*
```

```{toctree}
:hidden:
:caption: More
notebooks/results/README
```
";

/// Renders the pages, checks them, and puts them in place of the old ones.
///
/// # Errors
/// If set-up or Sphinx fails (a warning counts), or a page has [`problems`]; the old pages then stay.
pub fn site(course: &Course, args: &SiteArgs) -> Result<()> {
    setup::setup_site(course)?;
    let work = tempfile::tempdir_in(course.home()).context(".course cannot be written")?;
    let (source, made) = (work.path().join("source"), work.path().join("pages"));
    collect(course, &source)?;
    render(&course.site_venv().join("bin/python"), &source, &made)?;
    let mut problems = problems(&made)?;
    problems.extend(missing_figures(&source, &made)?);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    let place = course.home().join("site");
    if place.exists() {
        fs::remove_dir_all(&place).context(".course/site cannot be replaced")?;
    }
    fs::rename(&made, &place).context(".course/site cannot be written")?;
    println!("{} pages: open .course/site/index.html", pages(&place)?.len());
    if args.browser {
        let mut python = Command::new(course.site_venv().join("bin/python"));
        python
            .args(["-c", concat!(include_str!("../chromium.py"), include_str!("browser.py"))])
            .args([&place, &course.home().join("site-shots")]);
        if !python.status().context("Python does not start")?.success() {
            bail!("the pages do not pass in the browser; screenshots are in .course/site-shots");
        }
    }
    Ok(())
}

/// Copies what the pages are made of, with relative paths as in the checkout.
fn collect(course: &Course, to: &Path) -> Result<()> {
    let lessons = [course.notebooks(), course.solutions()].map(|folder| in_folder(&folder, "ipynb"));
    let others = [
        (course.results(), "md"),
        (course.results(), "json"),
        (course.pictures(), "png"),
        (course.handouts(), "pdf"),
        (course.root.join("scaling"), "py"),
    ];
    let others = others.iter().map(|(folder, ending)| files(folder, ending)).collect::<Result<Vec<_>>>()?;
    for file in lessons.into_iter().chain(others).flatten() {
        let copy = to.join(file.strip_prefix(&course.root)?);
        fs::create_dir_all(copy.parent().context("a folder")?)?;
        fs::copy(&file, copy).with_context(|| format!("{} cannot be copied", file.display()))?;
    }
    let readme = fs::read_to_string(course.root.join("README.md")).context("README.md cannot be read")?;
    let solved = in_folder(&course.solutions(), "ipynb").first().map(|path| stem(path)).unwrap_or_default();
    let readme = readme.replace("](notebooks/solutions)", &format!("](notebooks/solutions/{solved}.ipynb)"));
    fs::write(to.join("index.md"), readme + CONTENTS)?;
    fs::write(to.join("conf.py"), include_str!("conf.py"))?;
    fs::write(to.join("extra.css"), include_str!("extra.css"))?;
    Ok(())
}

fn render(python: &Path, source: &Path, made: &Path) -> Result<()> {
    let mut sphinx = Command::new(python);
    sphinx.args(["-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d"]);
    let result = sphinx
        .arg(source.join(".doctrees"))
        .args([source, made])
        .output()
        .context("Sphinx does not start")?;
    if !result.status.success() {
        bail!("Sphinx: {}", String::from_utf8_lossy(&result.stderr).trim_end());
    }
    Ok(())
}

/// What is wrong with rendered pages, one line each: a link or an anchor that leads nowhere, a page without a title, and
/// whatever a page or a style sheet loads from another server.
///
/// # Errors
/// If a page cannot be read.
pub fn problems(folder: &Path) -> Result<Vec<String>> {
    static TAG: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"<(\w+)\b[^>]*?\s(?:href|src)="([^"]*)""#).expect("a fixed pattern"));
    static IDENTIFIER: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"\s(?:id|name)="([^"]*)""#).expect("a fixed pattern"));
    static TITLE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"<title>\s*[^<\s]").expect("a fixed pattern"));
    static ELSEWHERE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?:url\(|@import)\s*["']?(?:https?:)?//[^)"']*"#).expect("a fixed pattern")
    });
    let texts: BTreeMap<PathBuf, String> = pages(folder)?
        .into_iter()
        .map(|page| Ok((page.clone(), fs::read_to_string(page)?)))
        .collect::<Result<_>>()?;
    let anchors: BTreeMap<&Path, BTreeSet<String>> = texts
        .iter()
        .map(|(page, text)| {
            (page.as_path(), IDENTIFIER.captures_iter(text).map(|id| id[1].to_owned()).collect())
        })
        .collect();
    let mut problems = BTreeSet::new();
    for (page, text) in &texts {
        let name = page.strip_prefix(folder)?.display();
        if !TITLE.is_match(text) {
            problems.insert(format!("{name}: no title"));
        }
        for tag in TAG.captures_iter(text) {
            let (kind, link) = (&tag[1], unescaped(&tag[2]));
            if link.contains("://") || link.starts_with("//") {
                if kind != "a" {
                    problems.insert(format!("{name}: <{kind}> loads {link} from elsewhere"));
                }
                continue;
            }
            if link.is_empty() || link.starts_with("data:") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let path = path.split('?').next().unwrap_or(path);
            let target = if path.is_empty() { page.clone() } else { joined(page, path) };
            if !target.is_file() {
                problems.insert(format!("{name}: {link} leads nowhere"));
            } else if !anchor.is_empty()
                && anchors.get(target.as_path()).is_some_and(|ids| !ids.contains(anchor))
            {
                problems.insert(format!("{name}: {link}: the page has no such place"));
            }
        }
    }
    for sheet in files(folder, "css")? {
        let text = fs::read_to_string(&sheet)?;
        for found in ELSEWHERE.find_iter(&text) {
            let name = sheet.strip_prefix(folder)?.display();
            problems.insert(format!("{name}: loads {} from elsewhere", found.as_str()));
        }
    }
    Ok(problems.into_iter().collect())
}

/// Notebooks whose page shows fewer pictures than the notebook holds.
///
/// # Errors
/// If a notebook or its page cannot be read.
pub fn missing_figures(source: &Path, made: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for notebook in files(&source.join("notebooks"), "ipynb")? {
        let page = made.join(notebook.strip_prefix(source)?).with_extension("html");
        let held = fs::read_to_string(&notebook)?.matches("\"image/png\":").count();
        let shown = fs::read_to_string(&page)?.matches("<img alt=\"").count();
        if shown < held {
            problems.push(format!("{}: {shown} of {held} figures", page.strip_prefix(made)?.display()));
        }
    }
    Ok(problems)
}

/// A link's characters: HTML and percent codes undone.
fn unescaped(link: &str) -> String {
    let link =
        link.replace("&#x27;", "'").replace("&#39;", "'").replace("&quot;", "\"").replace("&amp;", "&");
    percent_decode_str(&link).decode_utf8_lossy().into_owned()
}

/// Where a relative path on a page leads.
fn joined(page: &Path, path: &str) -> PathBuf {
    let mut target = page.parent().unwrap_or(Path::new("")).to_path_buf();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(target.pop()),
            Component::CurDir => {}
            part => target.push(part),
        }
    }
    if path.ends_with('/') { target.join("index.html") } else { target }
}

fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    files(folder, "html")
}

/// All files below a folder with an ending, in order.
fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, ending)?);
        } else if path.extension().is_some_and(|one| one == ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
