//! Reading a text with the grammar: the probability of each character, given those before it.

use super::contexts::Contexts;
use super::model::{MAX_VARIABLES, Model};
use super::thread::{FREE, Machine, Thread};
use crate::error::{Error, Result};

/// Reads a text character by character. Threads hold every way to go on; their weights sum to 1, so what
/// the threads that begin with the next character weigh is its probability (prefix probability, Stolcke
/// 1995, equation 4, without the chart since the grammar is not recursive).
pub(super) struct Walk<'g> {
    machine: Machine<'g>,
    threads: Vec<Thread<'g>>,
    next: Vec<Thread<'g>>,
}

impl<'g> Walk<'g> {
    /// Before the first character of a story.
    pub fn new(model: &'g Model, contexts: &'g Contexts) -> Self {
        let mut walk = Self { machine: Machine { model, contexts }, threads: Vec::new(), next: Vec::new() };
        walk.restart();
        walk
    }

    /// Log-probability of `c` in nats, given what was read; `None` if it cannot come here.
    pub fn read(&mut self, c: char) -> Option<f64> {
        let Self { machine, threads, next } = self;
        next.clear();
        threads.iter().for_each(|t| machine.advance(t.clone(), Some(c), usize::MAX, next));
        let mass: f64 = next.iter().map(|t| t.weight).sum();
        if next.is_empty() {
            return None;
        }
        for thread in next.iter_mut() {
            thread.read();
            thread.weight /= mass;
        }
        std::mem::swap(threads, next);
        if c == '\n' {
            self.restart();
        }
        Some(mass.ln())
    }

    fn restart(&mut self) {
        let begin = Thread::new(&[], 0, [FREE; MAX_VARIABLES]);
        let mut threads = Vec::new();
        // The empty frame stands for the end of the story, so alternatives go on top of it.
        for thread in self.machine.expand(self.machine.model.start, &begin) {
            self.machine.advance(thread, None, usize::MAX, &mut threads);
        }
        self.threads = threads;
    }

    /// What may come next, likeliest first, at most `most` of them.
    pub fn expected(&self, most: usize) -> Vec<String> {
        let mut next = Vec::new();
        self.threads.iter().for_each(|t| self.machine.advance(t.clone(), None, usize::MAX, &mut next));
        next.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let mut words: Vec<String> = Vec::new();
        for thread in &next {
            let first = thread.next_char().map(String::from).unwrap_or_default();
            let rest: String = thread.pending.chars().skip(1).take_while(|c| c.is_alphanumeric()).collect();
            let word =
                if first == "\n" { "the end of the line".to_string() } else { format!("`{first}{rest}`") };
            if !words.contains(&word) {
                words.push(word);
            }
        }
        let left_out = words.len().saturating_sub(most);
        words.truncate(most);
        if left_out > 0 {
            words.push(format!("{left_out} more"));
        }
        words
    }
}

/// The log-probability in nats of each character of whole stories.
pub(super) fn char_log_probs(model: &Model, contexts: &Contexts, text: &str) -> Result<Vec<f64>> {
    let mut walk = Walk::new(model, contexts);
    let mut found = Vec::with_capacity(text.len());
    let mut before = String::new();
    for c in text.chars() {
        let Some(log_prob) = walk.read(c) else {
            let line = 1 + text.chars().take(found.len()).filter(|&c| c == '\n').count();
            return Err(refused(&walk, found.len(), line, &before, &format!("found `{}`", c.escape_debug())));
        };
        found.push(log_prob);
        before.push(c);
        if c == '\n' {
            before.clear();
        }
    }
    if !before.is_empty() {
        let line = text.lines().count();
        return Err(refused(&walk, found.len(), line, &before, "the text ends in the middle of a story"));
    }
    Ok(found)
}

fn refused(walk: &Walk<'_>, position: usize, line: usize, before: &str, what: &str) -> Error {
    let tail: Vec<char> = before.chars().collect();
    let tail: String = tail[tail.len().saturating_sub(30)..].iter().collect();
    let place = if tail.is_empty() { "at the start of a story".into() } else { format!("after `{tail}`") };
    Error::input(format!(
        "character {position} (line {line}) leaves the grammar: {what} {place}; expected {}",
        walk.expected(8).join(", ")
    ))
}
