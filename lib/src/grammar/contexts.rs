//! The contexts in which rules are expanded: which variables are bound by then, and who called.
//!
//! Whether a variable is bound decides what its next use may say, so every check and every expectation
//! is made once for each (rule, bound variables) that a story can reach.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{MAX_VARIABLES, Model, Symbol};
use super::parse::at;
use crate::error::Result;

/// States that are looked at before a grammar is refused: a variable that may or may not be drawn doubles them. The
/// course's stories have 310 768.
const MOST_STATES: usize = 1_000_000;

/// For each variable 0 if free, else k if its entry was the k-th one drawn from the class in this story.
pub(super) type Bound = [u8; MAX_VARIABLES];

/// Nothing drawn yet: the state at the start of a story.
pub(super) const NOTHING: Bound = [0; MAX_VARIABLES];

/// `bound` after drawing an entry for `variable`.
pub(super) fn draw(model: &Model, mut bound: Bound, variable: usize) -> Bound {
    let earlier = model.rivals(variable).filter(|&v| bound[v] > 0).count();
    bound[variable] = earlier as u8 + 1;
    bound
}

/// A place in the grammar: what stands at `position` of an alternative, in a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub context: usize,
    pub alternative: usize,
    pub position: usize,
}

/// A rule with the variables bound when its expansion begins.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub rule: usize,
    pub bound: Bound,
    /// The places that expand the rule in this context; none for the start.
    pub callers: BTreeSet<Place>,
}

/// Everything that stories can reach; context 0 is the start.
#[derive(Debug, Clone, Default)]
pub(super) struct Contexts {
    pub all: Vec<Context>,
    /// Where a free variable is drawn, and what is bound there.
    pub draws: BTreeSet<(Place, Bound)>,
    index: BTreeMap<(usize, Bound), usize>,
    /// Of each context: what may be bound when its expansion has ended.
    outcomes: Vec<Option<BTreeSet<Bound>>>,
    /// States looked at so far.
    states: usize,
}

impl Contexts {
    /// Explores a grammar without recursion from its start; refuses one that stories can go through in too many
    /// states.
    pub fn explore(model: &Model) -> Result<Self> {
        let mut contexts = Self::default();
        let start = contexts.intern(model.start, NOTHING);
        contexts.outcomes(model, start)?;
        Ok(contexts)
    }

    fn intern(&mut self, rule: usize, bound: Bound) -> usize {
        let next = self.all.len();
        let id = *self.index.entry((rule, bound)).or_insert(next);
        if id == next {
            self.all.push(Context { rule, bound, callers: BTreeSet::new() });
            self.outcomes.push(None);
        }
        id
    }

    fn outcomes(&mut self, model: &Model, context: usize) -> Result<BTreeSet<Bound>> {
        if let Some(known) = &self.outcomes[context] {
            return Ok(known.clone());
        }
        let Context { rule, bound, .. } = self.all[context];
        let mut ends = BTreeSet::new();
        for (alternative, a) in model.rules[rule].alternatives.iter().enumerate() {
            let mut states = BTreeSet::from([bound]);
            for (position, symbol) in a.symbols.iter().enumerate() {
                let place = Place { context, alternative, position };
                states = self.after(model, symbol, place, states)?;
                self.states += states.len();
                if self.states > MOST_STATES {
                    return Err(at(
                        a.line,
                        "too many combinations of variables may or may not be drawn by here: draw them sooner, \
                         or leave some out",
                    ));
                }
            }
            ends.extend(states);
        }
        self.outcomes[context] = Some(ends.clone());
        Ok(ends)
    }

    /// The states that `symbol` leaves behind.
    fn after(
        &mut self,
        model: &Model,
        symbol: &Symbol,
        place: Place,
        states: BTreeSet<Bound>,
    ) -> Result<BTreeSet<Bound>> {
        Ok(match symbol {
            Symbol::Text(_) | Symbol::Capital => states,
            Symbol::Variable { variable, .. } => {
                let mut after = BTreeSet::new();
                for bound in states {
                    if bound[*variable] > 0 {
                        after.insert(bound);
                    } else {
                        self.draws.insert((place, bound));
                        after.insert(draw(model, bound, *variable));
                    }
                }
                after
            }
            Symbol::Rule(rule) => {
                let mut after = BTreeSet::new();
                for bound in states {
                    let called = self.intern(*rule, bound);
                    self.all[called].callers.insert(place);
                    let outcomes = self.outcomes(model, called)?;
                    self.states += outcomes.len();
                    after.extend(outcomes);
                }
                after
            }
        })
    }
}
