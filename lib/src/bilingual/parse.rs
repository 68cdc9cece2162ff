//! The text of a synchronous grammar → its classes, endings, neighbours, and rules with parameters.

use std::collections::{BTreeMap, HashMap};

use super::model::Sandhi;
use crate::error::Result;
use crate::grammar::model::Class;
use crate::grammar::parse::{Block, Line, at, blocks, checked_name, class};
use crate::grammar::weights::weight;

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
        let (line, keyword) = (block.line, block.head.split(' ').next().unwrap_or_default());
        if keyword == "class" {
            classes.push(block);
            continue;
        }
        if !["ending", "forms", "vowels", "elide", "contract", "held-out"].contains(&keyword) {
            sources.rule(block)?;
            continue;
        }
        let (name, list) = named_list(&block.head, line)?;
        match (keyword, ["en", "fr"].iter().position(|&l| l == name)) {
            ("ending", _) => _ = sources.endings.insert(name, list),
            ("forms", _) => _ = sources.forms.insert(name, list),
            ("held-out", _) => {
                let advice = || at(line, "write `held-out 8: RULE …` for one combination in 8");
                sources.held_out = name.parse().ok().filter(|&n| n > 1).ok_or_else(advice)?;
                sources.combining = (list, line);
            }
            (_, Some(side)) => sources.sandhi[side].read(keyword, &list, line)?,
            _ => return Err(at(line, format!("the language is en or fr, not `{name}`"))),
        }
    }
    sources.classes = classes.into_iter().map(|block| sources.class(block)).collect::<Result<_>>()?;
    Ok(sources)
}

/// `KEYWORD NAME: WORD …`.
fn named_list(head: &str, line: usize) -> Result<(String, Vec<String>)> {
    let parts = head.split_once(' ').and_then(|(_, rest)| rest.split_once(": "));
    let (name, list) =
        parts.ok_or_else(|| at(line, format!("expected `KEYWORD NAME: WORD …`, found `{head}`")))?;
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

    /// A class whose forms may be the name of a list, and whose entries may be `STEM:ENDING`.
    fn class(&self, mut block: Block) -> Result<Class> {
        let (name, forms) = named_list(&block.head, block.line)?;
        let forms = self.forms.get(&forms.join(" ")).unwrap_or(&forms);
        for row in &mut block.body {
            let (weight, text) = weight(&row.text, row.number)?;
            let fields = text.split('|').map(|field| self.inflect(field, row.number));
            let fields = fields.collect::<Result<Vec<_>>>()?.join("|");
            row.text = weight.map_or_else(|| fields.clone(), |weight| format!("{weight}: {fields}"));
        }
        class(&format!("{name}: {}", forms.join(" ")), &block)
    }

    /// `STEM:ENDING rest` → a form for each suffix, divided by `|`; a field without `:` stays as it is.
    fn inflect(&self, field: &str, line: usize) -> Result<String> {
        let Some((stem, rest)) = field.split_once(':') else {
            return Ok(field.to_string());
        };
        let (ending, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        let suffixes = self.endings.get(ending).ok_or_else(|| {
            at(line, format!("there is no ending `{ending}`: write `ending {ending}: SUFFIX …`"))
        })?;
        let forms: Vec<String> =
            suffixes.iter().map(|s| format!("{stem}{}{rest}", s.trim_matches('-'))).collect();
        Ok(forms.join("|"))
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
        let known = known.ok_or_else(|| at(line, format!("`${name}` is no parameter of its rule")))?;
        filled.push_str(arguments[known]);
        filled.push_str(rest);
    }
    Ok(filled)
}
