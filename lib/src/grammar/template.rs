//! One alternative's text → symbols: `{variable.form}`, `<rule>`, `^`, and inline groups `[a|b]`.

use std::collections::BTreeMap;

use super::model::{Alternative, Class, Rule, Symbol, Variable};
use super::parse::at;
use super::weights::{normalise, weight};
use crate::error::Result;

/// Groups inside of groups: reading them takes stack.
const MOST_NESTED: usize = 50;

/// Parses alternatives; every inline group becomes a rule of its own in `groups`.
pub(super) struct Templates<'a> {
    rules: &'a BTreeMap<String, usize>,
    classes: &'a [Class],
    variables: &'a [Variable],
    /// Index of the first group among all rules.
    first_group: usize,
    pub groups: Vec<Rule>,
    /// Groups that are open.
    open: usize,
}

impl<'a> Templates<'a> {
    pub fn new(
        rules: &'a BTreeMap<String, usize>,
        classes: &'a [Class],
        variables: &'a [Variable],
        first_group: usize,
    ) -> Self {
        Self { rules, classes, variables, first_group, groups: Vec::new(), open: 0 }
    }

    /// The symbols of one alternative of rule `owner`.
    pub fn parse(&mut self, owner: &str, line: usize, source: &str) -> Result<Vec<Symbol>> {
        let mut symbols = Vec::new();
        let mut rest = source;
        while let Some(c) = rest.chars().next() {
            rest = match c {
                '^' => {
                    symbols.push(Symbol::Capital);
                    &rest[1..]
                }
                '{' => {
                    let (inside, after) = bracketed(rest, '}', line)?;
                    symbols.push(self.variable(inside, line)?);
                    after
                }
                '<' => {
                    let (inside, after) = bracketed(rest, '>', line)?;
                    symbols.push(self.rule(inside, line)?);
                    after
                }
                '[' => {
                    let (inside, after) = group(rest, line)?;
                    symbols.push(self.group(owner, inside, line)?);
                    after
                }
                '}' | '>' | ']' | '|' => {
                    return Err(at(
                        line,
                        format!("`{c}` has nothing to close or divide in `{source}`: remove it"),
                    ));
                }
                _ => {
                    let end = rest.find(['^', '{', '<', '[', '}', '>', ']', '|']).unwrap_or(rest.len());
                    symbols.push(Symbol::Text(rest[..end].to_string()));
                    &rest[end..]
                }
            };
        }
        Ok(symbols)
    }

    fn variable(&self, inside: &str, line: usize) -> Result<Symbol> {
        let (name, form) = inside.split_once('.').map_or((inside, None), |(n, f)| (n, Some(f)));
        let variable = self.variables.iter().position(|v| v.name == name);
        let variable = variable.ok_or_else(|| {
            at(line, format!("there is no variable `{name}`: declare it with `var {name}: CLASS`"))
        })?;
        let class = &self.classes[self.variables[variable].class];
        let form = form.map_or(Some(0), |f| class.forms.iter().position(|g| g == f)).ok_or_else(|| {
            at(
                line,
                format!("`{{{inside}}}`: class `{}` has the forms `{}`", class.name, class.forms.join(" ")),
            )
        })?;
        Ok(Symbol::Variable { variable, form })
    }

    fn rule(&self, name: &str, line: usize) -> Result<Symbol> {
        let index = self.rules.get(name);
        let advice =
            || at(line, format!("there is no rule `{name}`: write `{name} =` with its alternatives"));
        index.map(|&i| Symbol::Rule(i)).ok_or_else(advice)
    }

    fn group(&mut self, owner: &str, inside: &str, line: usize) -> Result<Symbol> {
        self.open += 1;
        if self.open > MOST_NESTED {
            return Err(at(
                line,
                format!("more than {MOST_NESTED} groups lie in each other: name some as rules"),
            ));
        }
        let (ranked, inside) = inside.strip_prefix('~').map_or((false, inside), |i| (true, i));
        let mut alternatives = Vec::new();
        for part in parts(inside) {
            let (weight, source) = weight(part, line)?;
            let source = if weight.is_some() { source.strip_prefix(' ').unwrap_or(source) } else { source };
            let symbols = self.parse(owner, line, source)?;
            let source = source.to_string();
            alternatives.push((weight, Alternative { probability: 0.0, symbols, line, source }));
        }
        self.open -= 1;
        let alternatives = normalise(alternatives, ranked);
        self.groups.push(Rule { name: owner.to_string(), line, alternatives });
        Ok(Symbol::Rule(self.first_group + self.groups.len() - 1))
    }
}

/// `{…}` or `<…>` at the start of `text` → inside, after.
fn bracketed(text: &str, close: char, line: usize) -> Result<(&str, &str)> {
    let end = text.find(close);
    let end = end.ok_or_else(|| at(line, format!("`{text}` is not closed: add `{close}`")))?;
    Ok((&text[1..end], &text[end + 1..]))
}

/// `[…]` at the start of `text` → inside, after; groups may hold groups.
fn group(text: &str, line: usize) -> Result<(&str, &str)> {
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        depth += i32::from(c == '[') - i32::from(c == ']');
        if depth == 0 {
            return Ok((&text[1..i], &text[i + 1..]));
        }
    }
    Err(at(line, format!("`{text}` is not closed: add `]`")))
}

/// Splits at each `|` that is not inside a group.
fn parts(inside: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (i, c) in inside.char_indices() {
        depth += i32::from(c == '[') - i32::from(c == ']');
        if c == '|' && depth == 0 {
            found.push(&inside[start..i]);
            start = i + 1;
        }
    }
    found.push(&inside[start..]);
    found
}
