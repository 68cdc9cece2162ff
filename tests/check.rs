//! The checks of all exercises: right answers pass in several forms, and each wrong answer is rejected with its cause.

mod check_attention;
mod check_bert;
mod check_gpt;
mod check_ladder;
mod check_lstm;
mod check_practice;
mod check_rnn;
mod check_seq2seq;
mod check_start;
mod check_tokens;
mod check_transformer;
mod check_tuning;
mod verdicts;

use std::collections::BTreeSet;
use std::fs;

use verdicts::{FEWEST, tally};

/// The functions named, each with its module before it.
macro_rules! all {
    ($($lesson:ident: $($exercise:ident),+;)+) => { [$($($lesson::$exercise as fn()),+),+] };
}

/// The numbers of the exercises in the lessons' sources, e.g. `1.1`.
fn numbers_in_the_lessons() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../notebooks/source");
    let lessons = fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let numbers = |lesson: String| -> Vec<String> {
        let titles = lesson.lines().filter_map(|line| line.strip_prefix("/// Exercise "));
        titles.map(|title| title.split([':', ',']).next().unwrap().to_string()).collect()
    };
    lessons.flat_map(numbers).collect()
}

/// Runs them all once more, so that only what was rejected for the right cause is counted.
#[test]
fn every_exercise_of_the_course_rejects_at_least_five_wrong_answers() {
    let exercises = all! {
        check_start: norm, one_hot, softmax, difference_gradient, loss_test;
        check_rnn: rnn_step, cross_entropy, temperature, clip_by_norm, truncated_bptt, step_test;
        check_lstm: lstm_step, forget_bias, gru_step, correlation, stream_test;
        check_seq2seq: clipped_matches, bleu, shift, masked_loss, beam_step, shift_test;
        check_attention: additive_score, masked_softmax, scaled_dot_product, alignment_error_rate, mask_test;
        check_transformer: sinusoidal_positions, heads, layer_norm, block, causal_mask, causal_test;
        check_tokens: most_frequent_pair, merge_pair, bpe_encode, longest_match, bits_per_byte, round_trip_test;
        check_gpt: next_tokens, decays, nucleus, cached_step, induction_score, nucleus_test;
        check_bert: pair_row, bert_embedding, corruption, hidden_places, silhouette, hiding_test;
        check_tuning: mean_pooling, cosines, trains, lora, lora_merged, adam_test;
        check_practice: f1, window_mask, positive_features, prompt, p_value, score_test;
        check_ladder: weight_count, nearest_width, value_at, compare_seeds, ruler_test;
    };
    let rejected = tally(|| exercises.iter().for_each(|exercise| exercise()));
    let (number, least) = rejected.iter().min_by_key(|(_, count)| **count).unwrap();
    println!(
        "{} exercises, {} wrong answers rejected with their cause; the least, {least}, in exercise {number}",
        rejected.len(),
        rejected.values().sum::<usize>()
    );
    assert_eq!(rejected.keys().map(ToString::to_string).collect::<BTreeSet<_>>(), numbers_in_the_lessons());
    assert!(*least >= FEWEST, "exercise {number} has {least} wrong answers");
}
