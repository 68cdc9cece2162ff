//! The text of a grammar → [`Model`]: first the lines, then what stands in them.

use std::collections::BTreeMap;

use super::model::{Alternative, Class, Entry, MAX_ENTRIES, MAX_VARIABLES, Model, Rule, Variable};
use super::template::Templates;
use super::weights::{normalise, weight};
use crate::error::{Error, Result};

/// An indented line, with the number it has in the file.
pub(crate) struct Line {
    pub number: usize,
    pub text: String,
}

/// A header and the indented lines below it.
pub(crate) struct Block {
    pub line: usize,
    pub head: String,
    pub body: Vec<Line>,
}

/// An error at a line.
pub(crate) fn at(line: usize, message: impl std::fmt::Display) -> Error {
    Error::input(format!("line {line}: {message}"))
}

/// Reads a grammar; everything but names, weights and brackets is checked elsewhere.
pub(super) fn parse(text: &str) -> Result<Model> {
    let mut classes = Vec::new();
    let mut variables = Vec::new();
    let mut rules = Vec::new();
    for block in blocks(text)? {
        if let Some(head) = block.head.strip_prefix("class ") {
            classes.push(class(head, &block)?);
        } else if let Some(head) = block.head.strip_prefix("var ") {
            variables.push((head.to_string(), block));
        } else {
            rules.push(rule_lines(block)?);
        }
    }
    let variables = bind_classes(variables, &classes)?;
    let names = names(&rules, &classes, &variables)?;
    let start = *names.get("story").ok_or_else(|| {
        Error::input("the grammar has no rule `story`: add one; each story is an expansion of it")
    })?;
    let mut templates = Templates::new(&names, &classes, &variables, rules.len());
    let mut expanded = Vec::new();
    for (name, line, ranked, lines) in &rules {
        let mut alternatives = Vec::new();
        for l in lines {
            let (weight, source) = weight(&l.text, l.number)?;
            let symbols = templates.parse(name, l.number, source.trim())?;
            let source = source.trim().to_string();
            alternatives.push((weight, Alternative { probability: 0.0, symbols, line: l.number, source }));
        }
        expanded.push(Rule {
            name: name.clone(),
            line: *line,
            alternatives: normalise(alternatives, *ranked),
        });
    }
    expanded.extend(templates.groups);
    Ok(Model { rules: expanded, classes, variables, start })
}

/// Groups the lines below their headers; drops comments, joins lines that end with `\`.
pub(crate) fn blocks(text: &str) -> Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut joined = false;
    for (i, raw) in text.lines().enumerate() {
        let number = i + 1;
        let line = raw.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (line, goes_on) = line.strip_suffix('\\').map_or((line, false), |l| (l, true));
        if !raw.starts_with([' ', '\t']) {
            blocks.push(Block { line: number, head: line.to_string(), body: Vec::new() });
        } else {
            let block = blocks
                .last_mut()
                .ok_or_else(|| at(number, "an indented line needs a header above it, such as `story =`"))?;
            match block.body.last_mut() {
                Some(last) if joined => last.text.push_str(line),
                None if joined => block.head.push_str(line),
                _ => block.body.push(Line { number, text: line.to_string() }),
            }
        }
        joined = goes_on;
    }
    Ok(blocks)
}

/// `class NAME: form form`, or `class NAME ~: …` for weights by rank; the rows give an entry each.
pub(crate) fn class(head: &str, block: &Block) -> Result<Class> {
    let line = block.line;
    let (name, forms) = head
        .split_once(':')
        .ok_or_else(|| at(line, "a class is written `class NAME: FORM FORM …`; the `:` is missing"))?;
    let (name, ranked) = name.trim().strip_suffix('~').map_or((name, false), |n| (n, true));
    let forms: Vec<String> = forms.split_whitespace().map(str::to_string).collect();
    let name = checked_name(name, line)?;
    if forms.is_empty() {
        return Err(at(line, format!("class `{name}` has no forms: name them after the `:`")));
    }
    let mut rows = Vec::new();
    for row in &block.body {
        let (weight, text) = weight(&row.text, row.number)?;
        let given: Vec<String> = text.split('|').map(|f| f.trim().to_string()).collect();
        if given.len() != forms.len() || given.iter().any(String::is_empty) {
            return Err(at(
                row.number,
                format!(
                    "class `{name}` has the forms `{}`, so this entry needs {} texts separated by `|`; it has {}",
                    forms.join(" "),
                    forms.len(),
                    given.iter().filter(|f| !f.is_empty()).count()
                ),
            ));
        }
        rows.push((weight, Entry { probability: 0.0, forms: given }));
    }
    if rows.is_empty() || rows.len() > MAX_ENTRIES {
        let n = rows.len();
        return Err(at(
            line,
            format!("class `{name}` has {n} entries: give it 1 to {MAX_ENTRIES}, indented"),
        ));
    }
    Ok(Class { name, line, forms, entries: normalise(rows, ranked) })
}

/// `var NAME NAME: CLASS`.
fn bind_classes(found: Vec<(String, Block)>, classes: &[Class]) -> Result<Vec<Variable>> {
    let mut variables = Vec::new();
    for (head, Block { line, body, .. }) in found {
        let (names, class) = head
            .split_once(':')
            .ok_or_else(|| at(line, "variables are written `var NAME NAME …: CLASS`; the `:` is missing"))?;
        let class = class.trim();
        let index = classes.iter().position(|c| c.name == class);
        let index =
            index.ok_or_else(|| at(line, format!("there is no class `{class}`: declare it above")))?;
        if let Some(extra) = body.first() {
            return Err(at(extra.number, "`var` takes no indented lines: put alternatives below a rule"));
        }
        for name in names.split_whitespace() {
            variables.push(Variable { name: checked_name(name, line)?, line, class: index });
        }
    }
    for (i, class) in classes.iter().enumerate() {
        let drawn = variables.iter().filter(|v| v.class == i).count();
        if drawn > class.entries.len() {
            return Err(at(
                class.line,
                format!(
                    "class `{}` has {} entries but {drawn} variables, which must all differ: add entries",
                    class.name,
                    class.entries.len()
                ),
            ));
        }
        if subsets(class.entries.len(), drawn) > MOST_SUBSETS {
            return Err(at(
                class.line,
                format!(
                    "{drawn} variables of class `{}` can be drawn in too many ways from {} entries for an exact \
                     entropy: declare fewer of one class",
                    class.name,
                    class.entries.len()
                ),
            ));
        }
    }
    if variables.len() > MAX_VARIABLES {
        let line = variables[MAX_VARIABLES].line;
        return Err(at(line, format!("a grammar may have {MAX_VARIABLES} variables: leave some out")));
    }
    Ok(variables)
}

/// Sets of entries that the first variables of a class may have drawn; the entropy is a sum over them.
const MOST_SUBSETS: f64 = 5e5;

/// How many subsets of `entries` things have fewer than `drawn`.
fn subsets(entries: usize, drawn: usize) -> f64 {
    let mut of_this_size = 1.0; // a binomial coefficient
    let mut all = 0.0;
    for size in 0..drawn {
        all += of_this_size;
        of_this_size *= (entries - size) as f64 / (size + 1) as f64;
    }
    all
}

type RuleLines = (String, usize, bool, Vec<Line>);

/// `NAME =` (equal weights) or `NAME =~` (weights by rank), alternatives below or one on the same line.
fn rule_lines(block: Block) -> Result<RuleLines> {
    let Block { line, head, mut body } = block;
    let (name, rest) = head.split_once('=').ok_or_else(|| {
        at(line, format!("expected `NAME =`, `class NAME: …` or `var NAME: …`, found `{head}`"))
    })?;
    let name = checked_name(name, line)?;
    let (ranked, rest) = rest.strip_prefix('~').map_or((false, rest), |r| (true, r));
    if !rest.trim().is_empty() {
        body.insert(0, Line { number: line, text: rest.trim().to_string() });
    }
    if body.is_empty() {
        return Err(at(line, format!("rule `{name}` is empty: indent its alternatives below it")));
    }
    Ok((name, line, ranked, body))
}

/// Names of rules → index, refusing names given twice; a variable may be named like its class.
fn names(rules: &[RuleLines], classes: &[Class], variables: &[Variable]) -> Result<BTreeMap<String, usize>> {
    distinct(classes.iter().map(|c| (c.name.as_str(), c.line)))?;
    let variables = variables.iter().map(|v| (v.name.as_str(), v.line));
    distinct(variables.chain(rules.iter().map(|r| (r.0.as_str(), r.1))))?;
    Ok(rules.iter().enumerate().map(|(i, r)| (r.0.clone(), i)).collect())
}

fn distinct<'a>(names: impl Iterator<Item = (&'a str, usize)>) -> Result<()> {
    let mut seen = BTreeMap::new();
    for (name, line) in names {
        if let Some(first) = seen.insert(name, line) {
            return Err(at(
                line,
                format!("`{name}` is already the name of something in line {first}: rename one"),
            ));
        }
    }
    Ok(())
}

pub(crate) fn checked_name(name: &str, line: usize) -> Result<String> {
    let name = name.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(fits) {
        return Err(at(line, format!("`{name}` is no name: use letters, digits, `-` and `_`")));
    }
    Ok(name.to_string())
}
