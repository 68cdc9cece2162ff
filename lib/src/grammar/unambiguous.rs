//! The static check that makes probabilities exact: no text has two derivations.
//!
//! Two alternatives of a rule, or two entries of a variable's first use, must differ within
//! [`LOOKAHEAD`] characters, whatever follows them; that is LL(k) on characters, with variables. Then at
//! every choice the text alone tells which way it went, so a story has one derivation, and the entropy
//! of stories is the entropy of the choices. The condition is sufficient, not necessary: a grammar may
//! be refused that is in fact unambiguous. Capitals count as small letters.

use std::cell::Cell;

use super::contexts::{Bound, Contexts, Place};
use super::model::{MAX_VARIABLES, Model, Symbol, capital};
use super::parse::at;
use super::thread::{FREE, Machine, Thread, UNKNOWN};
use crate::error::{Error, Result};

/// Characters within which alternatives must differ.
pub(super) const LOOKAHEAD: usize = 48;
/// Common prefixes to look at before alternatives are refused as too alike.
const MOST_PREFIXES: usize = 20_000;
/// Ways to go on from one prefix, before a grammar is refused as too large to check.
const MOST_THREADS: usize = 10_000;
/// Comparisons of two such ways in a whole grammar; the course's stories take 4 061 613.
const MOST_COMPARISONS: usize = 100_000_000;

/// Refuses a grammar in which two choices may give the same text.
pub(super) fn check(model: &Model, contexts: &Contexts) -> Result<()> {
    let machine = Machine { model, contexts };
    let compared = &Cell::new(0);
    for (id, context) in contexts.all.iter().enumerate() {
        let alternatives = &model.rules[context.rule].alternatives;
        let threads = alternatives.iter().enumerate().map(|(tag, a)| {
            let thread = Thread::new(&a.symbols, id, values(&context.bound));
            Thread { tag, ..thread }
        });
        if let Some(clash) = Search::new(machine, &context.bound, compared).run(threads.collect())? {
            return Err(same_alternatives(model, context.rule, &clash));
        }
    }
    for (place, bound) in &contexts.draws {
        let threads = entries(model, contexts, *place, bound);
        if let Some(clash) = Search::new(machine, bound, compared).run(threads)? {
            return Err(same_entries(model, contexts, *place, &clash));
        }
    }
    Ok(())
}

/// Bound variables have values that this check does not know.
fn values(bound: &Bound) -> [u8; MAX_VARIABLES] {
    bound.map(|ordinal| if ordinal > 0 { UNKNOWN } else { FREE })
}

/// A thread for each entry that the variable at `place` may get.
fn entries<'g>(model: &'g Model, contexts: &Contexts, place: Place, bound: &Bound) -> Vec<Thread<'g>> {
    let rule = &model.rules[contexts.all[place.context].rule];
    let symbols = &rule.alternatives[place.alternative].symbols;
    let Symbol::Variable { variable, form } = symbols[place.position] else { return Vec::new() };
    let start = |(tag, entry): (usize, &'g super::model::Entry)| {
        let mut thread = Thread::new(&symbols[place.position + 1..], place.context, values(bound));
        thread.values[variable] = tag as u8;
        thread.pending = &entry.forms[form];
        Thread { tag, ..thread }
    };
    model.class_of(variable).entries.iter().enumerate().map(start).collect()
}

/// Two tags, and the beginning that they share.
struct Clash {
    tags: (usize, usize),
    prefix: String,
    /// Both ended, or only the lookahead did.
    same_to_the_end: bool,
}

/// Follows threads with different tags through the prefixes that they have in common.
struct Search<'g> {
    machine: Machine<'g>,
    bound: Bound,
    prefix: String,
    seen: usize,
    /// By all searches so far.
    compared: &'g Cell<usize>,
}

impl<'g> Search<'g> {
    fn new(machine: Machine<'g>, bound: &Bound, compared: &'g Cell<usize>) -> Self {
        Self { machine, bound: *bound, prefix: String::new(), seen: 0, compared }
    }

    fn run(&mut self, threads: Vec<Thread<'g>>) -> Result<Option<Clash>> {
        if threads.len() < 2 {
            return Ok(None);
        }
        self.seen += 1;
        let too_long = self.prefix.chars().count() >= LOOKAHEAD || self.seen > MOST_PREFIXES;
        if too_long && let Some(tags) = self.rival_pair(&threads) {
            return Ok(Some(Clash { tags, prefix: self.prefix.clone(), same_to_the_end: false }));
        }
        let mut next = Vec::new();
        threads.into_iter().for_each(|t| self.machine.advance(t, None, MOST_THREADS, &mut next));
        if next.len() > MOST_THREADS || self.compared.get() > MOST_COMPARISONS {
            return Err(Error::input(format!(
                "this grammar has too many ways to go on after `{}` to be checked: write fewer parts that may be \
                 empty, and alternatives that differ sooner",
                self.prefix
            )));
        }
        let (over, mut next): (Vec<_>, Vec<_>) = next.into_iter().partition(|t| t.pending.is_empty());
        if let Some(tags) = self.rival_pair(&over) {
            return Ok(Some(Clash { tags, prefix: self.prefix.clone(), same_to_the_end: true }));
        }
        next.sort_by_key(first_small);
        for same in next.chunk_by(|a, b| first_small(a) == first_small(b)) {
            let mut rivals: Vec<Thread<'g>> =
                same.iter().filter(|t| self.has_rival(t, same)).cloned().collect();
            rivals.iter_mut().for_each(Thread::read);
            self.prefix.push(first_small(&same[0]));
            let clash = self.run(rivals)?;
            self.prefix.pop();
            if clash.is_some() {
                return Ok(clash);
            }
        }
        Ok(None)
    }

    fn has_rival(&self, thread: &Thread<'g>, among: &[Thread<'g>]) -> bool {
        among.iter().any(|other| other.tag != thread.tag && self.compatible(thread, other))
    }

    fn rival_pair(&self, threads: &[Thread<'g>]) -> Option<(usize, usize)> {
        let pair = |t: &Thread<'g>| {
            Some((t.tag, threads.iter().find(|o| o.tag != t.tag && self.compatible(t, o))?.tag))
        };
        threads.iter().find_map(pair)
    }

    /// Whether one story can reach both: the same callers, and the same entries for what was bound before.
    fn compatible(&self, a: &Thread<'g>, b: &Thread<'g>) -> bool {
        self.compared.set(self.compared.get() + 1);
        if a.returns.iter().zip(&b.returns).any(|(x, y)| x != y) {
            return false;
        }
        let before = (0..MAX_VARIABLES).filter(|&v| self.bound[v] > 0);
        before.into_iter().all(|v| {
            let (x, y) = (a.values[v], b.values[v]);
            let joint = if x == UNKNOWN { y } else { x };
            let agree = x == UNKNOWN || y == UNKNOWN || x == y;
            let taken = |t: &Thread<'g>| self.machine.model.rivals(v).any(|u| t.values[u] == joint);
            agree && (joint == UNKNOWN || !taken(a) && !taken(b))
        })
    }
}

fn first_small(thread: &Thread<'_>) -> char {
    let c = capital(thread.pending.chars().next().unwrap_or('\n')); // s and ſ have one capital
    c.to_lowercase().next().unwrap_or(c)
}

/// What to say about the shared beginning.
fn shared(clash: &Clash) -> String {
    if clash.same_to_the_end {
        return format!("both can give the same text, ending in `{}`", clash.prefix.trim_end());
    }
    format!("both can begin with `{}`", clash.prefix)
}

fn same_alternatives(model: &Model, rule: usize, clash: &Clash) -> Error {
    let rule = &model.rules[rule];
    let (a, b) = (&rule.alternatives[clash.tags.0], &rule.alternatives[clash.tags.1]);
    at(
        b.line,
        format!(
            "ambiguous: in rule `{}`, alternatives `{}` (line {}) and `{}` (line {}): {}; \
             make them differ within {LOOKAHEAD} characters, or merge what they share",
            rule.name,
            a.source,
            a.line,
            b.source,
            b.line,
            shared(clash)
        ),
    )
}

fn same_entries(model: &Model, contexts: &Contexts, place: Place, clash: &Clash) -> Error {
    let rule = &model.rules[contexts.all[place.context].rule];
    let alternative = &rule.alternatives[place.alternative];
    let Symbol::Variable { variable, form } = alternative.symbols[place.position] else {
        return at(alternative.line, "ambiguous");
    };
    let class = model.class_of(variable);
    let name = |tag: usize| &class.entries[tag].forms[0];
    at(
        alternative.line,
        format!(
            "ambiguous: variable `{}` is first used here, as `{{{}.{}}}`, and the text does not tell `{}` from `{}`: \
             {}; first use a form in which all entries of class `{}` differ",
            model.variables[variable].name,
            model.variables[variable].name,
            class.forms[form],
            name(clash.tags.0),
            name(clash.tags.1),
            shared(clash),
            class.name
        ),
    )
}
