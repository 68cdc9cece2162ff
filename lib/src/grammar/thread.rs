//! A thread is one way to go on from the characters read so far; reading keeps those that agree.

use std::rc::Rc;

use super::contexts::{Contexts, Place};
use super::model::{MAX_VARIABLES, Model, Symbol, capital};

/// The value of a variable that has not been drawn.
pub(super) const FREE: u8 = u8::MAX;
/// The value of a variable that was drawn before the text under examination begins.
pub(super) const UNKNOWN: u8 = u8::MAX - 1;

/// What is left of an alternative, and of those around it.
#[derive(Debug)]
pub(super) struct Frame<'g> {
    symbols: &'g [Symbol],
    outer: Option<Rc<Frame<'g>>>,
}

/// One way to go on.
#[derive(Debug, Clone)]
pub(super) struct Thread<'g> {
    /// Characters to come before the next symbol.
    pub pending: &'g str,
    pub capital: bool,
    pub frames: Option<Rc<Frame<'g>>>,
    /// The context to leave when the frames are done; in context 0 the story ends.
    pub context: usize,
    /// Callers chosen so far, outwards.
    pub returns: Vec<Place>,
    /// Of each variable: `FREE`, `UNKNOWN`, or the index of its entry.
    pub values: [u8; MAX_VARIABLES],
    /// Probability, relative to the other threads.
    pub weight: f64,
    /// Which alternative or entry the thread began with, while alternatives are compared.
    pub tag: usize,
    /// The line end of the story is pending or read.
    pub ended: bool,
}

impl<'g> Thread<'g> {
    /// Goes on with `symbols` of an alternative in `context`.
    pub fn new(symbols: &'g [Symbol], context: usize, values: [u8; MAX_VARIABLES]) -> Self {
        let frames = Some(Rc::new(Frame { symbols, outer: None }));
        Self {
            pending: "",
            capital: false,
            frames,
            context,
            returns: Vec::new(),
            values,
            weight: 1.0,
            tag: 0,
            ended: false,
        }
    }

    /// The next character, if one is pending.
    pub fn next_char(&self) -> Option<char> {
        let c = self.pending.chars().next()?;
        Some(if self.capital { capital(c) } else { c })
    }

    /// Reads the pending character.
    pub fn read(&mut self) {
        let length = self.pending.chars().next().map_or(0, char::len_utf8);
        self.pending = &self.pending[length..];
        self.capital = false;
    }

    fn enter(&mut self, symbols: &'g [Symbol]) {
        if !symbols.is_empty() {
            self.frames = Some(Rc::new(Frame { symbols, outer: self.frames.take() }));
        }
    }
}

/// Moves threads to their next characters; a list of those still to be moved, for the stack is too small to recurse.
#[derive(Debug, Clone, Copy)]
pub(super) struct Machine<'g> {
    pub model: &'g Model,
    pub contexts: &'g Contexts,
}

impl<'g> Machine<'g> {
    /// The thread's continuations, each with a character pending or past the story's end, go to `out`.
    /// With `wanted`, only those whose next character it is. Stops where `out` has more than `most`.
    pub fn advance(&self, thread: Thread<'g>, wanted: Option<char>, most: usize, out: &mut Vec<Thread<'g>>) {
        let mut waiting = vec![thread];
        while let Some(thread) = waiting.pop()
            && out.len() <= most
        {
            self.move_on(thread, wanted, out, &mut waiting);
        }
    }

    /// Up to the next character, or to where the thread forks: the forks wait, the first one on top.
    fn move_on(
        &self,
        mut thread: Thread<'g>,
        wanted: Option<char>,
        out: &mut Vec<Thread<'g>>,
        waiting: &mut Vec<Thread<'g>>,
    ) {
        loop {
            if let Some(c) = thread.next_char() {
                if wanted.is_none_or(|w| w == c) {
                    out.push(thread);
                }
                return;
            }
            let Some(frame) = thread.frames.take() else {
                if thread.context != 0 {
                    return self.leave(&thread, waiting);
                }
                if thread.ended {
                    out.push(thread);
                    return;
                }
                thread.ended = true;
                thread.pending = "\n";
                continue;
            };
            thread.frames.clone_from(&frame.outer);
            let Some((symbol, after)) = frame.symbols.split_first() else { continue };
            thread.enter(after);
            match symbol {
                Symbol::Text(text) => thread.pending = text,
                Symbol::Capital => thread.capital = true,
                Symbol::Rule(rule) => return waiting.extend(self.expand(*rule, &thread).rev()),
                Symbol::Variable { variable, form } => match thread.values[*variable] {
                    FREE | UNKNOWN => return self.draw(*variable, *form, &thread, wanted, out),
                    entry => {
                        thread.pending = &self.model.class_of(*variable).entries[entry as usize].forms[*form]
                    }
                },
            }
        }
    }

    /// One thread for each alternative of a rule.
    pub fn expand(&self, rule: usize, thread: &Thread<'g>) -> impl DoubleEndedIterator<Item = Thread<'g>> {
        self.model.rules[rule].alternatives.iter().map(|alternative| {
            let mut fork = thread.clone();
            fork.weight *= alternative.probability;
            fork.enter(&alternative.symbols);
            fork
        })
    }

    /// One thread for each entry that no other variable of the class has.
    fn draw(
        &self,
        variable: usize,
        form: usize,
        thread: &Thread<'g>,
        wanted: Option<char>,
        out: &mut Vec<Thread<'g>>,
    ) {
        let entries = &self.model.class_of(variable).entries;
        let taken: Vec<u8> = self.model.rivals(variable).map(|v| thread.values[v]).collect();
        let free = |e: &usize| !taken.contains(&(*e as u8));
        let total: f64 = (0..entries.len()).filter(free).map(|e| entries[e].probability).sum();
        for e in (0..entries.len()).filter(free) {
            let pending = entries[e].forms[form].as_str();
            let first = pending.chars().next().map(|c| if thread.capital { capital(c) } else { c });
            if wanted.is_some() && wanted != first {
                continue;
            }
            let mut fork = thread.clone();
            fork.values[variable] = e as u8;
            fork.pending = pending;
            fork.weight *= entries[e].probability / total;
            out.push(fork);
        }
    }

    /// One thread for each caller of the context whose expansion is over.
    fn leave(&self, thread: &Thread<'g>, waiting: &mut Vec<Thread<'g>>) {
        for place in self.contexts.all[thread.context].callers.iter().rev() {
            let caller = &self.contexts.all[place.context];
            let symbols = &self.model.rules[caller.rule].alternatives[place.alternative].symbols;
            let mut fork = thread.clone();
            fork.context = place.context;
            fork.returns.push(*place);
            fork.enter(&symbols[place.position + 1..]);
            waiting.push(fork);
        }
    }
}
