//! The n-gram: a language model that only counts, the baseline of every lesson about text.

use std::collections::HashMap;

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
    /// For each context of 0 to order − 1 ids: what followed, how often.
    followers: HashMap<Vec<i64>, Vec<(i64, f64)>>,
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
            return Err(Error::input(format!("id {id} is outside the vocabulary of {vocab_size}")));
        }
        let mut followers: HashMap<Vec<i64>, Vec<(i64, f64)>> = HashMap::new();
        for end in 0..ids.len() {
            for start in (end + 1).saturating_sub(order)..=end {
                add(followers.entry(ids[start..end].to_vec()).or_default(), ids[end]);
            }
        }
        Ok(Self { order, vocab_size: vocab_size as usize, followers })
    }

    /// How many counts the table holds: what it must remember, as weights are for a network.
    pub fn counts(&self) -> usize {
        self.followers.values().map(Vec::len).sum()
    }

    /// The distribution over the next id after `context` `[vocab]`; only its last order − 1 ids matter.
    pub fn probabilities(&self, context: &[i64]) -> Array1<f64> {
        let mut p = Array1::from_elem(self.vocab_size, 1.0 / self.vocab_size as f64);
        let longest = context.len().min(self.order - 1);
        for length in 0..=longest {
            let Some(seen) = self.followers.get(&context[context.len() - length..]) else { break };
            let kinds = seen.len() as f64;
            let total: f64 = seen.iter().map(|(_, count)| count).sum();
            p *= kinds / (total + kinds);
            for &(id, count) in seen {
                p[id as usize] += count / (total + kinds);
            }
        }
        p
    }

    /// Mean cross-entropy of `ids` in nats per id, each predicted from all before it.
    ///
    /// # Panics
    /// If `ids` is empty or holds an id outside the vocabulary.
    pub fn cross_entropy(&self, ids: &[i64]) -> f64 {
        let nats: f64 = (0..ids.len()).map(|i| -self.log_prob(&ids[..i], ids[i])).sum();
        nats / ids.len() as f64
    }

    fn log_prob(&self, context: &[i64], id: i64) -> f64 {
        let mut p = 1.0 / self.vocab_size as f64;
        for length in 0..=context.len().min(self.order - 1) {
            let Some(seen) = self.followers.get(&context[context.len() - length..]) else { break };
            let kinds = seen.len() as f64;
            let total: f64 = seen.iter().map(|(_, count)| count).sum();
            let count = seen.iter().find(|(other, _)| *other == id).map_or(0.0, |(_, count)| *count);
            p = (count + kinds * p) / (total + kinds);
        }
        p.ln()
    }
}

fn add(followers: &mut Vec<(i64, f64)>, id: i64) {
    match followers.iter_mut().find(|(other, _)| *other == id) {
        Some((_, count)) => *count += 1.0,
        None => followers.push((id, 1.0)),
    }
}
