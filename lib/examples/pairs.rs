//! Prints pairs and their figures: `cargo run --example pairs -- [PAIRS] [SEED]`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use llm_course::bilingual::BilingualGrammar;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn main() -> llm_course::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().and_then(|a| a.parse().ok()).unwrap_or(default);
    let (count, seed) = (number(20) as usize, number(1));
    let grammar = BilingualGrammar::translation();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let draws: Vec<_> = (0..count).map(|_| grammar.sample(&mut rng).0).collect();
    for pair in &draws {
        println!("{}\t{}", pair.src.join(" "), pair.tgt.join(" "));
    }
    let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
    draws.iter().for_each(|p| *lengths.entry(p.words()).or_default() += 1);
    eprintln!("lengths of draws: {lengths:?}");
    Ok(())
}
