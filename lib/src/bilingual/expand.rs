//! Rules with parameters → [`Model`]: every combination of arguments that a sentence can reach.

use std::collections::{BTreeSet, HashMap};

use super::model::{Alternative, Item, Model, Rule, Tags};
use super::parse::{Sources, fill, parse};
use crate::error::Result;
use crate::grammar::parse::at;
use crate::grammar::weights::{normalise, weight};

/// Rules that lie in each other: every one takes stack.
const MOST_NESTED: usize = 200;
/// Rules with their arguments filled in, and bytes of a call: arguments can grow from rule to rule without end.
const MOST_RULES: usize = 20_000;
const LONGEST_CALL: usize = 200;
/// Bytes of both sentences of a pair on average: thirty rules that each use the next one twice would make a thousand
/// million, and words that share a tag have a link from each to each.
const LONGEST: f64 = 1e6;

/// Reads a grammar from its text.
pub(super) fn model(text: &str) -> Result<Model> {
    let sources = parse(text)?;
    let mut expansion = Expansion { sources: &sources, rules: Vec::new(), known: HashMap::new(), open: 0 };
    expansion.rule("sentence", 1)?;
    let Expansion { rules, known, .. } = expansion;
    let reached: BTreeSet<&str> = known.keys().map(|key| key.split(' ').next().unwrap_or_default()).collect();
    if let Some((name, rule)) = sources.rules.iter().find(|(name, _)| !reached.contains(name.as_str())) {
        return Err(at(rule.line, format!("no sentence can reach rule `{name}`: use it or remove it")));
    }
    let (combining, line) = &sources.combining;
    if let Some(name) = combining.iter().find(|name| !reached.contains(name.as_str())) {
        return Err(at(*line, format!("there is no rule `{name}`")));
    }
    let used: BTreeSet<usize> =
        rules.iter().flatten().flat_map(|r| &r.alternatives).flat_map(|a| a.draws.iter().copied()).collect();
    if let Some(class) = (0..sources.classes.len()).find(|c| !used.contains(c)) {
        let class = &sources.classes[class];
        return Err(at(class.line, format!("class `{}` is never used: use it or remove it", class.name)));
    }
    let rules = rules.into_iter().map(Option::unwrap_or_default).collect();
    Ok(Model { rules, classes: sources.classes, sandhi: sources.sandhi, held_out: sources.held_out })
}

struct Expansion<'s> {
    sources: &'s Sources,
    /// `None` while a rule is being read.
    rules: Vec<Option<Rule>>,
    /// A call as written, arguments filled in → its rule.
    known: HashMap<String, usize>,
    /// Rules that are being read.
    open: usize,
}

impl Expansion<'_> {
    /// The index of the rule that `call`, a name and arguments, stands for.
    fn rule(&mut self, call: &str, line: usize) -> Result<usize> {
        if let Some(&index) = self.known.get(call) {
            let open = self.rules[index].is_none();
            let message = || format!("rule `{call}` can reach itself, so a sentence might never end");
            return if open { Err(at(line, message())) } else { Ok(index) };
        }
        if self.open >= MOST_NESTED || self.rules.len() >= MOST_RULES || call.len() > LONGEST_CALL {
            let message = format!(
                "rules with their arguments filled in lie more than {MOST_NESTED} deep, are more than {MOST_RULES} \
                 or have calls of more than {LONGEST_CALL} bytes: pass fewer or shorter arguments"
            );
            return Err(at(line, message));
        }
        let mut words = call.split_whitespace();
        let name = words.next().unwrap_or_default();
        let arguments: Vec<&str> = words.collect();
        let source = self.sources.rules.get(name).filter(|rule| rule.parameters.len() == arguments.len());
        let message = || format!("there is no rule `{name}` with {} parameters", arguments.len());
        let source = source.ok_or_else(|| at(line, message()))?;
        let index = self.rules.len();
        self.open += 1;
        self.rules.push(None);
        self.known.insert(call.to_string(), index);
        let mut alternatives = Vec::new();
        for l in &source.body {
            let (weight, text) = weight(&l.text, l.number)?;
            let text = fill(text, &source.parameters, &arguments, l.number)?;
            alternatives.push((weight, self.alternative(&text, l.number)?));
        }
        self.open -= 1;
        let alternatives = normalise(alternatives, false);
        let mean =
            alternatives.iter().map(|alternative| alternative.probability * self.length(alternative)).sum();
        if mean > LONGEST {
            let message = format!("rule `{call}` gives more than {LONGEST} bytes on average: repeat less");
            return Err(at(line, message));
        }
        let combines = self.sources.combining.0.iter().any(|c| c == name);
        self.rules[index] = Some(Rule { alternatives, combines, mean });
        Ok(index)
    }

    /// How many bytes `alternative` gives on average, about.
    fn length(&self, alternative: &Alternative) -> f64 {
        let items = alternative.sides.iter().flatten().map(|item| match item {
            Item::Word(text, tags) => (text.len() + tags.len()) as f64,
            Item::Call(call) => self.rules[alternative.calls[*call]].as_ref().map_or(0.0, |rule| rule.mean),
            Item::Form { draw, form, tags } => {
                let entries = &self.sources.classes[alternative.draws[*draw]].entries;
                entries.iter().map(|e| e.forms[*form].len() + tags.len()).max().unwrap_or(0) as f64
            }
        });
        items.sum()
    }

    /// `english => french`, or one text for both.
    fn alternative(&mut self, text: &str, line: usize) -> Result<Alternative> {
        let (en, fr) = text.split_once("=>").unwrap_or((text, text));
        let mut names = Names::default();
        let mut found = Alternative::default();
        for (side, text) in [en, fr].into_iter().enumerate() {
            let mut called = Vec::new();
            for piece in pieces(text) {
                let item = match piece.strip_prefix('<').and_then(|p| p.strip_suffix('>')) {
                    Some(call) => self.call(call, line, &mut names, &mut found)?,
                    None => self.word(piece, line, &mut names, &mut found)?,
                };
                if let Item::Call(call) = item {
                    called.push(call);
                }
                found.sides[side].push(item);
            }
            called.sort_unstable();
            if called != (0..found.calls.len()).collect::<Vec<_>>() {
                return Err(at(
                    line,
                    format!("`{}`: each <rule> must stand once on both sides", text.trim()),
                ));
            }
            if side == 0 {
                names.english = found.draws.len();
            }
        }
        if let Some(&class) = found.draws[names.english..].iter().find(|&&c| self.entries(c) > 1) {
            let name = &self.sources.classes[class].name;
            return Err(at(
                line,
                format!("`{name}` is drawn for the French side only: English must decide it"),
            ));
        }
        let times = |class: usize| found.draws.iter().filter(|&&other| other == class).count();
        if let Some(&class) = found.draws.iter().find(|&&class| times(class) > self.entries(class)) {
            let (name, entries) = (&self.sources.classes[class].name, self.entries(class));
            let message = format!("`{name}` is drawn {} times and has {entries} entries", times(class));
            return Err(at(line, format!("{message}, which must all differ: add entries")));
        }
        found.groups = names.groups.len();
        Ok(found)
    }

    fn entries(&self, class: usize) -> usize {
        self.sources.classes[class].entries.len()
    }

    /// `rule ARGUMENT …`; where the label was met before, arguments may be left out.
    fn call(&mut self, call: &str, line: usize, names: &mut Names, found: &mut Alternative) -> Result<Item> {
        let (label, arguments) = call.split_at(call.find(' ').unwrap_or(call.len()));
        if let Some(known) = names.calls.iter().position(|l| l == label) {
            return Ok(Item::Call(known));
        }
        let name = label.split('#').next().unwrap_or_default();
        let rule = self.rule(&format!("{name}{arguments}"), line)?;
        names.calls.push(label.to_string());
        found.calls.push(rule);
        Ok(Item::Call(found.calls.len() - 1))
    }

    /// A word or `{class.form}`, with tags.
    fn word(&self, piece: &str, line: usize, names: &mut Names, found: &mut Alternative) -> Result<Item> {
        let start = if piece.starts_with('{') { piece.find('}').unwrap_or(0) } else { 1 };
        let end = piece.char_indices().skip_while(|(i, _)| *i < start).find(|(_, c)| matches!(c, ':' | '?'));
        let (text, written) = piece.split_at(end.map_or(piece.len(), |(i, _)| i));
        let mut tags = Tags::new();
        let mut rest = written;
        while let Some(mark) = rest.chars().next() {
            let end = rest[1..].find([':', '?']).map_or(rest.len(), |i| i + 1);
            tags.push((names.group(&rest[1..end]), mark == ':'));
            rest = &rest[end..];
        }
        let Some(inside) = text.strip_prefix('{') else {
            return Ok(Item::Word(text.to_string(), tags));
        };
        let (label, form) = inside
            .strip_suffix('}')
            .and_then(|inside| inside.split_once('.'))
            .ok_or_else(|| at(line, format!("`{text}` should be {{class.form}}, then tags or a space")))?;
        let name = label.split('#').next().unwrap_or_default();
        let class = self.sources.classes.iter().position(|c| c.name == name);
        let class = class.ok_or_else(|| at(line, format!("there is no class `{name}`")))?;
        let forms = &self.sources.classes[class].forms;
        let form = forms.iter().position(|f| f.split(',').any(|f| f == form)).ok_or_else(|| {
            at(line, format!("`{text}`: class `{name}` has the forms `{}`", forms.join(" ")))
        })?;
        let draw = names.draws.iter().position(|l| l == label).unwrap_or_else(|| {
            names.draws.push(label.to_string());
            found.draws.push(class);
            found.draws.len() - 1
        });
        tags.push((names.group(label), true));
        Ok(Item::Form { draw, form, tags })
    }
}

/// What an alternative has named so far.
#[derive(Default)]
struct Names {
    calls: Vec<String>,
    draws: Vec<String>,
    groups: Vec<String>,
    /// How many draws the English side makes.
    english: usize,
}

impl Names {
    fn group(&mut self, name: &str) -> usize {
        self.groups.iter().position(|g| g == name).unwrap_or_else(|| {
            self.groups.push(name.to_string());
            self.groups.len() - 1
        })
    }
}

/// Splits at spaces that are not inside `<…>`.
fn pieces(side: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = side.trim();
    while !rest.is_empty() {
        let end = if rest.starts_with('<') { rest.find('>').map(|i| i + 1) } else { rest.find(' ') };
        let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
        found.push(piece);
        rest = after.trim_start();
    }
    found
}
