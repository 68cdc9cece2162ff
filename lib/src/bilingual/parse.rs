//! The text of a synchronous grammar → its classes, endings, neighbours, and rules with parameters.

use std::collections::{BTreeMap, HashMap};

use super::model::Sandhi;
use crate::error::{Error, Result};
use crate::grammar::model::{Class, Entry};
use crate::grammar::parse::{Block, Line, at, blocks, checked_name};
use crate::grammar::weights::{normalise, weight};

/// A rule as it is written.
pub(super) struct Source {
    pub parameters: Vec<String>,
    pub line: usize,
    pub body: Vec<Line>,
}

/// A grammar as it is written, names not yet resolved.
#[derive(Default)]
pub(super) struct Sources {
    pub classes: Vec<Class>,
    pub rules: BTreeMap<String, Source>,
    pub sandhi: [Sandhi; 2],
    pub held_out: u64,
    /// Names of the rules whose combinations are held out, and the line that says so.
    pub combining: (Vec<String>, usize),
    endings: HashMap<String, Vec<String>>,
    forms: HashMap<String, Vec<String>>,
}

/// Sorts the blocks of a grammar by their keywords; a class may use what stands below it.
pub(super) fn parse(text: &str) -> Result<Sources> {
    let mut sources = Sources::default();
    let mut classes = Vec::new();
    for block in blocks(text)? {
        let line = block.line;
        let words: Vec<String> = block.head.split_whitespace().map(str::to_string).collect();
        match words[0].as_str() {
            "class" => classes.push(block),
            "ending" | "forms" => {
                let (name, list) = named_list(&block)?;
                let table = if words[0] == "forms" { &mut sources.forms } else { &mut sources.endings };
                table.insert(name, list);
            }
            "vowels" | "elide" | "contract" => {
                let (language, list) = named_list(&block)?;
                let side = ["en", "fr"].iter().position(|&l| l == language);
                let side =
                    side.ok_or_else(|| at(line, format!("the language is en or fr, not `{language}`")))?;
                sources.sandhi[side].read(&words[0], &list, line)?;
            }
            "held-out" => {
                let (number, list) = named_list(&block)?;
                let advice = || at(line, "write `held-out 8: RULE …` for one combination in 8");
                sources.held_out = number.parse().ok().filter(|&n| n > 1).ok_or_else(advice)?;
                sources.combining = (list, line);
            }
            _ => sources.rule(block)?,
        }
    }
    for block in classes {
        let class = sources.class(&block)?;
        sources.classes.push(class);
    }
    Ok(sources)
}

/// `KEYWORD NAME: WORD …`.
fn named_list(block: &Block) -> Result<(String, Vec<String>)> {
    let head = block.head.split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
    let (name, list) = head
        .split_once(": ")
        .ok_or_else(|| at(block.line, format!("expected `KEYWORD NAME: WORD …`, found `{}`", block.head)))?;
    if let Some(extra) = block.body.first() {
        return Err(at(extra.number, "this keyword takes no indented lines: end the line before with `\\`"));
    }
    Ok((name.trim().to_string(), list.split_whitespace().map(str::to_string).collect()))
}

impl Sandhi {
    fn read(&mut self, keyword: &str, list: &[String], line: usize) -> Result<()> {
        if keyword == "vowels" {
            self.vowels = list.concat();
            return Ok(());
        }
        for rule in list {
            let advice = || at(line, format!("`{rule}`: write elide as le=l' and contract as de+le=du"));
            let (before, after) = rule.split_once('=').ok_or_else(advice)?;
            if keyword == "elide" {
                self.elide.insert(before.to_string(), after.to_string());
            } else {
                let (one, two) = before.split_once('+').ok_or_else(advice)?;
                self.contract.insert((one.to_string(), two.to_string()), after.to_string());
            }
        }
        Ok(())
    }
}

impl Sources {
    /// `NAME PARAMETER … =`, alternatives below or one on the same line.
    fn rule(&mut self, block: Block) -> Result<()> {
        let Block { line, head, mut body } = block;
        let (names, rest) = head
            .split_once('=')
            .filter(|(names, _)| !names.trim().is_empty())
            .ok_or_else(|| at(line, format!("expected `NAME =` or a keyword, found `{head}`")))?;
        let mut names = names.split_whitespace().map(str::to_string);
        let name = checked_name(&names.next().unwrap_or_default(), line)?;
        if !rest.trim().is_empty() {
            body.insert(0, Line { number: line, text: rest.trim().to_string() });
        }
        if body.is_empty() {
            return Err(at(line, format!("rule `{name}` is empty: indent its alternatives below it")));
        }
        let source = Source { parameters: names.collect(), line, body };
        if let Some(first) = self.rules.insert(name.clone(), source) {
            return Err(at(line, format!("rule `{name}` is already in line {}: rename one", first.line)));
        }
        Ok(())
    }

    /// `class NAME: FORM …`, or the name of a list of forms; the rows give an entry each.
    fn class(&self, block: &Block) -> Result<Class> {
        let line = block.line;
        let head = Block { line, head: block.head.clone(), body: Vec::new() };
        let (name, mut forms) = named_list(&head)?;
        if let [list] = forms.as_slice() {
            forms = self.forms.get(list).unwrap_or(&forms).clone();
        }
        let mut rows = Vec::new();
        for row in &block.body {
            let (weight, text) = weight(&row.text, row.number)?;
            let mut given = Vec::new();
            for field in text.split('|') {
                self.inflect(field.trim(), row.number, &mut given)?;
            }
            if given.len() != forms.len() || given.iter().any(String::is_empty) {
                return Err(at(
                    row.number,
                    format!(
                        "class `{name}` has {} forms, this entry {}: `{}`",
                        forms.len(),
                        given.len(),
                        given.join(" | ")
                    ),
                ));
            }
            rows.push((weight, Entry { probability: 0.0, forms: given }));
        }
        if rows.is_empty() {
            return Err(at(line, format!("class `{name}` has no entries: indent them below it")));
        }
        Ok(Class { name, line, forms, entries: normalise(rows, false) })
    }

    /// `STEM:ENDING rest` → a form for each suffix; any other text is one form.
    fn inflect(&self, field: &str, line: usize, forms: &mut Vec<String>) -> Result<()> {
        let Some((stem, rest)) = field.split_once(':') else {
            forms.push(field.to_string());
            return Ok(());
        };
        let (ending, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        let suffixes = self.endings.get(ending).ok_or_else(|| {
            at(line, format!("there is no ending `{ending}`: write `ending {ending}: SUFFIX …`"))
        })?;
        forms.extend(suffixes.iter().map(|s| format!("{stem}{}{rest}", s.trim_matches('-'))));
        Ok(())
    }

    /// The rule `name` with its parameters replaced, or an error at the line that asked for it.
    pub fn lookup(&self, name: &str, arguments: &[&str], line: usize) -> Result<&Source> {
        let rule = self.rules.get(name).ok_or_else(|| at(line, format!("there is no rule `{name}`")))?;
        if rule.parameters.len() != arguments.len() {
            return Err(at(
                line,
                format!(
                    "rule `{name}` takes `{}`, found `{}`",
                    rule.parameters.join(" "),
                    arguments.join(" ")
                ),
            ));
        }
        Ok(rule)
    }
}

/// Replaces every `$parameter` by its argument.
pub(super) fn fill(text: &str, parameters: &[String], arguments: &[&str], line: usize) -> Result<String> {
    let mut parts = text.split('$');
    let mut filled = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (name, rest) =
            part.split_at(part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len()));
        let known = parameters.iter().position(|p| p == name);
        let known = known
            .ok_or_else(|| Error::input(format!("line {line}: `${name}` is no parameter of its rule")))?;
        filled.push_str(arguments[known]);
        filled.push_str(rest);
    }
    Ok(filled)
}
