//! The n-gram: a language model that only counts, the baseline of every lesson about text.

use std::collections::HashMap;
use std::sync::Arc;

use ndarray::Array1;

use crate::error::{Error, Result};

/// An interpolated n-gram with Witten–Bell smoothing over ids.
///
/// p(c | context) = (count(context, c) + kinds · p(c | shorter context)) / (count(context) + kinds), where
/// `kinds` is the number of different ids seen after the context (Witten & Bell 1991, method C; Chen &
/// Goodman 1998, eq. 16–17). A context never seen leaves the decision to the shorter one; the shortest
/// is the uniform distribution.
///
/// ```
/// use llm_course::ngram::NGram;
/// let bigram = NGram::fit(2, &[0, 1, 0, 1, 0, 1], 2)?;
/// assert!(bigram.probabilities(&[0])[1] > 0.8);
/// # Ok::<(), llm_course::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NGram {
    order: usize,
    vocab_size: usize,
    /// By length, for each context of 0 to order − 1 ids (or more, if it was [`shortened`](Self::shortened)).
    followers: Arc<Vec<HashMap<Box<[i64]>, Followers>>>,
}

/// What followed a context.
#[derive(Clone, Debug, Default)]
struct Followers {
    /// Each id with its count.
    counts: Vec<(i64, f64)>,
    total: f64,
}

impl NGram {
    /// Counts `ids`; `order` 1 is the unigram, 2 the bigram.
    ///
    /// # Errors
    /// If `order` is 0, there are no ids, or an id lies outside `0..vocab_size`.
    pub fn fit(order: usize, ids: &[i64], vocab_size: i64) -> Result<Self> {
        if order == 0 || ids.is_empty() {
            return Err(Error::input(format!(
                "an n-gram of order {order} from {} ids: both must be at least 1",
                ids.len()
            )));
        }
        if let Some(id) = ids.iter().find(|&&id| id < 0 || id >= vocab_size) {
            return Err(Error::input(format!(
                "id {id} is outside the vocabulary of {vocab_size}: give the tokenizer's vocab_size"
            )));
        }
        let mut followers: Vec<HashMap<Box<[i64]>, Followers>> = vec![HashMap::new(); order];
        for (length, contexts) in followers.iter_mut().enumerate() {
            for end in length..ids.len() {
                let context = &ids[end - length..end];
                match contexts.get_mut(context) {
                    Some(seen) => seen.add(ids[end]),
                    None => contexts.entry(context.into()).or_default().add(ids[end]),
                }
            }
        }
        Ok(Self { order, vocab_size: vocab_size as usize, followers: Arc::new(followers) })
    }

    /// The n-gram of a smaller `order` over the same ids: it shares the counts of this one, which hold its own.
    ///
    /// # Panics
    /// If `order` is 0 or larger than this one's.
    pub fn shortened(&self, order: usize) -> Self {
        let own = self.order;
        assert!(
            (1..=own).contains(&order),
            "order {order} from an n-gram of order {own}: ask for 1 to {own}"
        );
        Self { order, ..self.clone() }
    }

    /// How many counts it needs: what it must remember, as weights are for a network.
    pub fn counts(&self) -> usize {
        self.followers[..self.order].iter().flat_map(HashMap::values).map(|seen| seen.counts.len()).sum()
    }

    /// What followed the last 0, 1, … ids of `context`, as far as that was seen.
    fn seen<'a>(&'a self, context: &'a [i64]) -> impl Iterator<Item = &'a Followers> {
        let longest = context.len().min(self.order - 1);
        (0..=longest).map_while(|length| self.followers[length].get(&context[context.len() - length..]))
    }

    /// The distribution over the next id after `context` `[vocab]`; only its last order − 1 ids matter.
    pub fn probabilities(&self, context: &[i64]) -> Array1<f64> {
        let mut p = Array1::from_elem(self.vocab_size, 1.0 / self.vocab_size as f64);
        for seen in self.seen(context) {
            let kinds = seen.counts.len() as f64;
            p *= kinds / (seen.total + kinds);
            for &(id, count) in &seen.counts {
                p[id as usize] += count / (seen.total + kinds);
            }
        }
        p
    }

    /// Mean cross-entropy of `ids` in nats per id, each predicted from all before it.
    ///
    /// # Panics
    /// If `ids` is empty or holds an id outside the vocabulary.
    pub fn cross_entropy(&self, ids: &[i64]) -> f64 {
        assert!(!ids.is_empty(), "the cross-entropy of no ids: give a text that is not empty");
        let known = self.vocab_size as i64;
        if let Some(id) = ids.iter().find(|&id| !(0..known).contains(id)) {
            panic!(
                "id {id} is outside the vocabulary of {known}: encode with the tokenizer of the text it was fit to"
            );
        }
        let nats: f64 = (0..ids.len()).map(|i| -self.log_prob(&ids[..i], ids[i])).sum();
        nats / ids.len() as f64
    }

    fn log_prob(&self, context: &[i64], id: i64) -> f64 {
        let mut p = 1.0 / self.vocab_size as f64;
        for seen in self.seen(context) {
            let kinds = seen.counts.len() as f64;
            let count = seen.counts.iter().find(|(other, _)| *other == id).map_or(0.0, |(_, count)| *count);
            p = (count + kinds * p) / (seen.total + kinds);
        }
        p.ln()
    }
}

impl Followers {
    fn add(&mut self, id: i64) {
        self.total += 1.0;
        match self.counts.iter_mut().find(|(other, _)| *other == id) {
            Some((_, count)) => *count += 1.0,
            None => self.counts.push((id, 1.0)),
        }
    }
}
