//! Metrics against sacrebleu, rouge-score, scikit-learn and nltk (tests/fixtures/metrics.py) and worked examples.

use llm_course::metrics::{
    Bleu, Confusion, Scores, Smoothing, accuracy, alignment_error_rate, bits, bits_per_byte, bleu,
    perplexity, rouge_l, rouge_n, sentence_bleu, strongest_links,
};
use serde_json::Value;
use tch::Tensor;

fn fixtures(metric: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("fixtures/metrics.json")).unwrap();
    let cases = all[metric].as_array().unwrap().clone();
    assert!(cases.len() >= 4, "{metric}");
    cases
}

fn close(a: f64, b: f64, what: &str) {
    assert!((a - b).abs() < 1e-6, "{what}: {a} is not {b}");
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn tokens(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|token| token.as_str().unwrap().to_string()).collect()
}

fn sentences(value: &Value) -> Vec<Vec<String>> {
    value.as_array().unwrap().iter().map(tokens).collect()
}

fn ids(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect()
}

fn same_bleu(got: Bleu, want: &Value, what: &str) {
    close(got.score, number(&want["score"]), what);
    close(got.brevity_penalty, number(&want["brevity_penalty"]), what);
    for (order, precision) in got.precisions.iter().enumerate() {
        close(*precision, number(&want["precisions"][order]), &format!("{what}, {}-grams", order + 1));
    }
    assert_eq!(got.output_len as f64, number(&want["output_len"]), "{what}");
    assert_eq!(got.reference_len as f64, number(&want["reference_len"]), "{what}");
}

/// To 1e-6, on 20 corpora: good, bad, too short, too long, empty, with and without smoothing.
#[test]
fn bleu_is_sacrebleus() {
    for (index, case) in fixtures("bleu").iter().enumerate() {
        let (outputs, references) = (sentences(&case["outputs"]), sentences(&case["references"]));
        for (smoothing, name) in [(Smoothing::Exp, "exp"), (Smoothing::None, "none")] {
            same_bleu(
                bleu(&outputs, &references, smoothing),
                &case[name],
                &format!("corpus {index}, {name}"),
            );
        }
        for (i, (output, reference)) in outputs.iter().zip(&references).enumerate() {
            let got = sentence_bleu(output, reference);
            same_bleu(got, &case["sentences"][i], &format!("corpus {index}, sentence {i}"));
        }
    }
}

/// Papineni et al. 2002, §2.1: "the the the the the the the" has the clipped unigram precision 2/7.
#[test]
fn bleu_clips_counts() {
    let output = vec!["the"; 7];
    let reference = vec!["the", "cat", "is", "on", "the", "mat"];
    let bleu = bleu(&[output], &[reference], Smoothing::None);
    close(bleu.precisions[0], 200.0 / 7.0, "unigrams");
    assert_eq!(bleu.score, 0.0);
}

fn same_scores(got: Scores, want: [&Value; 3], what: &str) {
    close(got.precision, number(want[0]), what);
    close(got.recall, number(want[1]), what);
    close(got.f1, number(want[2]), what);
}

/// To 1e-6, on 40 pairs.
#[test]
fn rouge_is_rouge_scores() {
    for (index, case) in fixtures("rouge").iter().enumerate() {
        let (output, reference) = (tokens(&case["output"]), tokens(&case["reference"]));
        let all = [
            ("rouge1", rouge_n(&output, &reference, 1)),
            ("rouge2", rouge_n(&output, &reference, 2)),
            ("rougeL", rouge_l(&output, &reference)),
        ];
        for (name, got) in all {
            let want = &case[name];
            same_scores(got, [&want[0], &want[1], &want[2]], &format!("pair {index}, {name}"));
        }
    }
}

/// To 1e-6: counts, scores of each class, macro and micro averages, also where a class never occurs.
#[test]
fn classification_is_scikit_learns() {
    for case in fixtures("classes") {
        let (predicted, targets) = (ids(&case["predicted"]), ids(&case["targets"]));
        let classes = case["classes"].as_i64().unwrap();
        let confusion = Confusion::new(&predicted, &targets, classes);
        for target in 0..classes as usize {
            let row: Vec<i64> = confusion.counts.row(target).iter().map(|&count| count as i64).collect();
            assert_eq!(row, ids(&case["confusion"][target]), "{classes} classes");
            let each = &case["each"];
            let want = [&each[0][target], &each[1][target], &each[2][target]];
            same_scores(confusion.class(target as i64), want, &format!("class {target} of {classes}"));
        }
        for (name, got) in [("macro", confusion.macro_average()), ("micro", confusion.micro_average())] {
            let want = &case[name];
            same_scores(got, [&want[0], &want[1], &want[2]], &format!("{name} of {classes}"));
        }
        close(confusion.accuracy(), accuracy(&predicted, &targets), "accuracy");
        close(confusion.accuracy(), confusion.micro_average().f1, "micro F1 is the accuracy");
    }
}

#[test]
#[should_panic(expected = "with 2 classes")]
fn classes_outside_are_refused() {
    Confusion::new(&[0, 2], &[0, 1], 2);
}

fn links(value: &Value) -> Vec<Vec<(i64, i64)>> {
    let link = |pair: &Value| (pair[0].as_i64().unwrap(), pair[1].as_i64().unwrap());
    value.as_array().unwrap().iter().map(|s| s.as_array().unwrap().iter().map(link).collect()).collect()
}

/// To 1e-6, on corpora of several sentences.
#[test]
fn alignment_error_rate_is_nltks() {
    for case in fixtures("alignment") {
        let rate =
            alignment_error_rate(&links(&case["found"]), &links(&case["sure"]), &links(&case["possible"]));
        close(rate, number(&case["rate"]), "rate");
    }
}

#[test]
fn alignment_error_rate_at_its_ends() {
    let (sure, possible) = (vec![vec![(0, 0), (1, 1)]], vec![vec![(2, 1)]]);
    close(alignment_error_rate(&sure, &sure, &possible), 0.0, "all sure links and no others");
    close(
        alignment_error_rate(&[vec![(0, 0), (1, 1), (2, 1)]], &sure, &possible),
        0.0,
        "possible ones are free",
    );
    close(alignment_error_rate(&[vec![(0, 1)]], &sure, &possible), 1.0, "nothing right");
    close(alignment_error_rate(&[vec![(0, 0), (0, 0)]], &sure, &possible), 1.0 / 3.0, "a link counts once");
}

#[test]
fn links_of_attention() {
    let weights = Tensor::from_slice2(&[[0.1f32, 0.7, 0.2], [0.5, 0.2, 0.3]]); // [target, source]
    assert_eq!(strongest_links(&weights), [(0, 1), (1, 0)]);
}

/// A model that gives each of 8 symbols 1/8 has perplexity 8 and needs 3 bits; the measure per byte does not
/// depend on how the text was cut into ids.
#[test]
fn losses_in_other_units() {
    close(perplexity(8f64.ln()), 8.0, "perplexity");
    close(bits(8f64.ln()), 3.0, "bits");
    let nats = 1000.0; // of a whole text of 700 bytes
    close(bits_per_byte(nats / 700.0, 700, 700), bits_per_byte(nats / 150.0, 150, 700), "bytes, subwords");
    close(bits_per_byte(nats / 700.0, 700, 700), 1000.0 / 2f64.ln() / 700.0, "bits per byte");
}
