//! Checks that need no probabilities: everything is used, nothing reaches itself, words stay whole.

use std::collections::BTreeSet;

use super::model::{Model, Symbol};
use super::parse::at;
use crate::error::Result;

/// Rules that lie in each other: every one takes stack.
const MOST_NESTED: usize = 200;
/// Characters of a story. Thirty rules that each use the next one twice would make a thousand million.
const LONGEST: u64 = 1_000_000;

/// Refuses rules that reach themselves, whatever is never used, and words made of two parts.
pub(super) fn check(model: &Model) -> Result<()> {
    let mut finished = vec![false; model.rules.len()];
    depth_first(model, model.start, &mut Vec::new(), &mut finished)?;
    unused(model, &finished)?;
    whole_words(model)?;
    if longest(model, model.start, &mut vec![None; model.rules.len()]) > LONGEST {
        let line = model.rules[model.start].line;
        return Err(at(line, format!("a story may have more than {LONGEST} characters: repeat less")));
    }
    Ok(())
}

/// Characters of the longest expansion of `rule`.
fn longest(model: &Model, rule: usize, known: &mut [Option<u64>]) -> u64 {
    if let Some(length) = known[rule] {
        return length;
    }
    let mut most = 0;
    for alternative in &model.rules[rule].alternatives {
        let lengths = alternative.symbols.iter().map(|symbol| match symbol {
            Symbol::Capital => 0,
            Symbol::Text(text) => text.len() as u64,
            Symbol::Rule(rule) => longest(model, *rule, known),
            Symbol::Variable { variable, form } => {
                let entries = &model.class_of(*variable).entries;
                entries.iter().map(|entry| entry.forms[*form].len() as u64).max().unwrap_or(0)
            }
        });
        most = most.max(lengths.fold(0, u64::saturating_add));
    }
    known[rule] = Some(most);
    most
}

/// Visits all rules below `rule`; a rule met on its own path is recursion.
fn depth_first(model: &Model, rule: usize, path: &mut Vec<usize>, finished: &mut [bool]) -> Result<()> {
    if path.contains(&rule) {
        let names: BTreeSet<&str> = path.iter().map(|&r| model.rules[r].name.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        return Err(at(
            model.rules[rule].line,
            format!(
                "rule `{}` can reach itself (through `{}`), so a story might never end: write repetitions out, \
                 as in `[|, <item>[|, <item>]]`",
                model.rules[rule].name,
                names.join("`, `")
            ),
        ));
    }
    if finished[rule] {
        return Ok(());
    }
    if path.len() >= MOST_NESTED {
        let line = model.rules[rule].line;
        return Err(at(line, format!("more than {MOST_NESTED} rules lie in each other here: join some")));
    }
    path.push(rule);
    for symbol in model.rules[rule].alternatives.iter().flat_map(|a| &a.symbols) {
        if let Symbol::Rule(next) = symbol {
            depth_first(model, *next, path, finished)?;
        }
    }
    path.pop();
    finished[rule] = true;
    Ok(())
}

fn unused(model: &Model, reached: &[bool]) -> Result<()> {
    if let Some(i) = reached.iter().position(|&r| !r) {
        let rule = &model.rules[i];
        let name = &rule.name;
        return Err(at(
            rule.line,
            format!("no story can reach rule `{name}`: use it as `<{name}>` or remove it"),
        ));
    }
    let uses = |v: usize| {
        let symbols = model.rules.iter().flat_map(|r| &r.alternatives).flat_map(|a| &a.symbols);
        symbols.filter(|s| matches!(s, Symbol::Variable { variable, .. } if *variable == v)).count()
    };
    if let Some(v) = (0..model.variables.len()).find(|&v| uses(v) == 0) {
        let (name, line) = (&model.variables[v].name, model.variables[v].line);
        return Err(at(
            line,
            format!("variable `{name}` is never used: use it as `{{{name}}}` or remove it"),
        ));
    }
    if let Some(i) = (0..model.classes.len()).find(|&i| model.variables.iter().all(|v| v.class != i)) {
        let class = &model.classes[i];
        let name = &class.name;
        return Err(at(
            class.line,
            format!("class `{name}` has no variable: add `var …: {name}` or remove it"),
        ));
    }
    Ok(())
}

/// What may stand at the ends of an expansion.
#[derive(Clone, Copy, Default)]
struct Ends {
    starts_with_letter: bool,
    ends_with_letter: bool,
    may_be_empty: bool,
}

/// A word is never put together from two symbols; the vocabulary is then the words of the texts.
fn whole_words(model: &Model) -> Result<()> {
    let mut known = vec![None; model.rules.len()];
    rule_ends(model, model.start, &mut known).map(|_| ())
}

fn rule_ends(model: &Model, rule: usize, known: &mut [Option<Ends>]) -> Result<Ends> {
    if let Some(ends) = known[rule] {
        return Ok(ends);
    }
    let mut ends = Ends::default();
    for alternative in &model.rules[rule].alternatives {
        let mut sequence = Ends { may_be_empty: true, ..Ends::default() };
        for symbol in &alternative.symbols {
            let next = match symbol {
                Symbol::Capital => continue,
                Symbol::Rule(r) => rule_ends(model, *r, known)?,
                Symbol::Text(text) => text_ends([text.as_str()]),
                Symbol::Variable { variable, form } => {
                    text_ends(model.class_of(*variable).entries.iter().map(|e| e.forms[*form].as_str()))
                }
            };
            if sequence.ends_with_letter && next.starts_with_letter {
                let source = &alternative.source;
                return Err(at(
                    alternative.line,
                    format!(
                        "a word of `{source}` is put together from two parts: write whole words, or a space"
                    ),
                ));
            }
            sequence = Ends {
                starts_with_letter: sequence.starts_with_letter
                    || sequence.may_be_empty && next.starts_with_letter,
                ends_with_letter: next.ends_with_letter || next.may_be_empty && sequence.ends_with_letter,
                may_be_empty: sequence.may_be_empty && next.may_be_empty,
            };
        }
        ends.starts_with_letter |= sequence.starts_with_letter;
        ends.ends_with_letter |= sequence.ends_with_letter;
        ends.may_be_empty |= sequence.may_be_empty;
    }
    known[rule] = Some(ends);
    Ok(ends)
}

fn text_ends<'a>(texts: impl IntoIterator<Item = &'a str>) -> Ends {
    texts.into_iter().fold(Ends::default(), |ends, text| Ends {
        starts_with_letter: ends.starts_with_letter || text.starts_with(char::is_alphabetic),
        ends_with_letter: ends.ends_with_letter || text.ends_with(char::is_alphabetic),
        may_be_empty: ends.may_be_empty || text.is_empty(),
    })
}

/// Words that stories are made of, in lower case; `'s` is no part of a word, other apostrophes are.
pub(super) fn vocabulary(model: &Model) -> BTreeSet<String> {
    let symbols = model.rules.iter().flat_map(|r| &r.alternatives).flat_map(|a| &a.symbols);
    let mut found = BTreeSet::new();
    for symbol in symbols {
        match symbol {
            Symbol::Text(text) => found.extend(words(text)),
            Symbol::Variable { variable, form } => {
                for entry in &model.class_of(*variable).entries {
                    found.extend(words(&entry.forms[*form]));
                }
            }
            Symbol::Capital | Symbol::Rule(_) => {}
        }
    }
    found
}

/// The words of a text in lower case, without `'s`.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphabetic() && c != '\'')
        .map(|w| w.strip_suffix("'s").unwrap_or(w).trim_matches('\'').to_lowercase())
        .filter(|w| !w.is_empty())
}
