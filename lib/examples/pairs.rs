//! Prints sentence pairs and the corpus's figures: `cargo run --example pairs -- [PAIRS] [SEED]`.

use std::collections::BTreeSet;

use llm_course::bilingual::{BilingualGrammar, Pair, length_fifth};
use llm_course::data::PairDataset;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn main() -> llm_course::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().and_then(|a| a.parse().ok()).unwrap_or(default);
    let (count, seed) = (number(20) as usize, number(1));
    let grammar = BilingualGrammar::translation();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).for_each(|_| println!("{}", grammar.sample(&mut rng).0));

    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let draws: Vec<(Pair, f64)> = (0..100_000).map(|_| grammar.sample(&mut rng)).collect();
    let share = |what: &dyn Fn(&Pair) -> bool| {
        100.0 * draws.iter().filter(|(pair, _)| what(pair)).count() as f64 / draws.len() as f64
    };
    let nats = draws.iter().map(|(_, log_prob)| -log_prob).sum::<f64>() / draws.len() as f64;
    eprintln!("of 100,000 draws, seed 1:");
    for (side, name) in ["English", "French"].iter().enumerate() {
        let words: BTreeSet<&String> = draws
            .iter()
            .flat_map(|(p, _)| [&p.src, &p.tgt][side])
            .filter(|w| w.chars().any(char::is_alphabetic))
            .collect();
        eprintln!("  {} distinct {name} words", words.len());
    }
    let distinct: BTreeSet<String> = draws.iter().map(|(p, _)| p.src.join(" ")).collect();
    eprintln!("  {} distinct sentences, entropy about {nats:.1} nats", distinct.len());
    eprintln!("  {:.1} % with a held-out combination", share(&|p| p.held_out));
    for (fifth, range) in ["3–8", "9–14", "15–19", "20–25", "26–30"].iter().enumerate() {
        eprintln!("  {:.1} % of {range} words", share(&|p| length_fifth(p.words()) == Some(fifth)));
    }
    let data = PairDataset::translation(20_000, 500, 500, 1)?;
    let mean = |side: fn(&Pair) -> usize| data.train.iter().map(side).sum::<usize>() as f64 / 20_000.0;
    eprintln!("of PairDataset::translation(20_000, 500, 500, 1):");
    eprintln!("  vocabularies of {} and {} ids", data.src_vocab_size(), data.tgt_vocab_size());
    eprintln!("  mean tokens {:.1} and {:.1}", mean(|p| p.src.len()), mean(|p| p.tgt.len()));
    eprintln!(
        "  mean links {:.1} sure, {:.1} possible",
        mean(|p| p.alignment.sure.len()),
        mean(|p| p.alignment.possible.len())
    );
    Ok(())
}
