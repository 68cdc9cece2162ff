//! Prints reviews and the figures of their grammar: `cargo run --example reviews -- [REVIEWS] [SEED]`.

use llm_course::data::ReviewDataset;
use llm_course::grammar::Grammar;

fn main() -> llm_course::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().and_then(|a| a.parse().ok()).unwrap_or(default);
    let (count, seed) = (number(20) as usize, number(1));
    let data = ReviewDataset::reviews(2 * count.div_ceil(2), 2, seed)?;
    data.train.iter().for_each(|review| println!("{} {}", review.label, review.text));
    let grammar = Grammar::from_file(concat!(env!("CARGO_MANIFEST_DIR"), "/../data/reviews.grammar"))?;
    eprintln!("vocabulary of the grammar: {} words", grammar.vocabulary().len());
    eprintln!("entropy of a review with its label: {:.2} nats", grammar.entropy());
    eprintln!("mean length with the label: {:.2} characters", grammar.mean_chars());
    let words = |text: &str| text.split_whitespace().count();
    let lengths: Vec<usize> = data.test.iter().map(|review| words(&review.text)).collect();
    eprintln!("hand-written test: {} reviews, {} words in all", lengths.len(), lengths.iter().sum::<usize>());
    Ok(())
}
