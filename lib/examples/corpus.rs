//! Prints the corpus and its figures: `cargo run --example corpus -- [CHARACTERS] [SEED]`.

use llm_course::grammar::Grammar;

fn main() -> llm_course::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().and_then(|a| a.parse().ok()).unwrap_or(default);
    let (chars, seed) = (number(5_000) as usize, number(1));
    let grammar = Grammar::stories();
    let text = grammar.text(chars, seed);
    print!("{text}");
    let stories = text.lines().count();
    let code_length = -grammar.log_prob(&text)? / std::f64::consts::LN_2;
    eprintln!(
        "{stories} stories, {} characters, {} distinct",
        text.chars().count(),
        Grammar::alphabet(&text).len()
    );
    eprintln!("vocabulary of the grammar: {} words", grammar.vocabulary().len());
    eprintln!("entropy of a story: {:.3} nats", grammar.entropy());
    eprintln!("mean length of a story: {:.2} characters", grammar.mean_chars());
    eprintln!("entropy floor: {:.4} bits per character", grammar.bits_per_char());
    eprintln!("this text: {:.4} bits per character", code_length / text.chars().count() as f64);
    Ok(())
}
