//! The grammar's probabilities against hand computation, enumeration and sampling; its refusals; the corpus.

use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::LN_2;
use std::sync::OnceLock;

use llm_course::grammar::Grammar;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn stories() -> &'static Grammar {
    static STORIES: OnceLock<Grammar> = OnceLock::new();
    STORIES.get_or_init(Grammar::stories)
}

/// Two million characters, the size that lessons train on.
fn corpus() -> &'static str {
    static CORPUS: OnceLock<String> = OnceLock::new();
    CORPUS.get_or_init(|| stories().text(2_000_000, 7))
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} is not {b}");
}

const PEOPLE: &str = "
class person: name they
  2: Ann | she
  1: Bob | he
  1: Annabel | she
var a b: person
";

fn with_people(rules: &str) -> llm_course::Result<Grammar> {
    Grammar::parse(&format!("{PEOPLE}{rules}"))
}

/// −Σ p ln p.
fn entropy(probabilities: &[f64]) -> f64 {
    -probabilities.iter().map(|p| p * p.ln()).sum::<f64>()
}

// ---------------------------------------------------------------- probabilities

#[test]
fn one_choice_by_hand() {
    let g = Grammar::parse("story = [3: sun|rain].").unwrap();
    close(g.entropy(), entropy(&[0.75, 0.25]));
    close(g.mean_chars(), 0.75 * 5.0 + 0.25 * 6.0);
    close(g.bits_per_char(), entropy(&[0.75, 0.25]) / LN_2 / 5.25);
    close(g.log_prob("rain.\n").unwrap(), 0.25_f64.ln());
    close(g.log_prob("rain.\nsun.\n").unwrap(), 0.25_f64.ln() + 0.75_f64.ln());
}

#[test]
fn rank_weights_are_zipfs() {
    let g = Grammar::parse("story =~\n  a\n  b\n  c\n").unwrap();
    let total = 1.0 + 0.5 + 1.0 / 3.0;
    close(g.log_prob("c\n").unwrap(), (1.0_f64 / 3.0 / total).ln());
    let g = Grammar::parse("story = [~a|b]").unwrap();
    close(g.log_prob("b\n").unwrap(), (1.0_f64 / 3.0).ln());
}

#[test]
fn drawing_without_replacement_by_hand() {
    let g = with_people("story = {a} met {b}.").unwrap();
    close(g.log_prob("Ann met Bob.\n").unwrap(), (0.5_f64 * 0.5).ln());
    close(g.log_prob("Bob met Ann.\n").unwrap(), (0.25_f64 * 2.0 / 3.0).ln());
    assert!(g.log_prob("Ann met Ann.\n").is_err());
    let after_others = 0.5 * entropy(&[2.0 / 3.0, 1.0 / 3.0]);
    close(g.entropy(), entropy(&[0.5, 0.25, 0.25]) + 0.5 * LN_2 + after_others);
    // P(b is Ann) = 2 · ¼ · ⅔ = ⅓, and ⅓ for the others as it happens: ½·½ + ¼·⅓.
    let a = 0.75 * 3.0 + 0.25 * 7.0;
    let b = (2.0 * 3.0 + 7.0) / 3.0;
    close(g.mean_chars(), a + b + " met .\n".len() as f64);
}

#[test]
fn a_variable_keeps_its_entry_and_costs_once() {
    let g = with_people("story = {a} sang, and {a.they} slept[| near {b}|, ^{b.they} said {b}].").unwrap();
    assert!(g.log_prob("Bob sang, and he slept.\n").is_ok());
    assert!(g.log_prob("Bob sang, and she slept.\n").is_err());
    close(g.log_prob("Bob sang, and he slept near Ann.\n").unwrap(), (0.25_f64 / 3.0 * 2.0 / 3.0).ln());
    close(g.log_prob("Bob sang, and he slept, She said Ann.\n").unwrap(), (0.25_f64 / 3.0 * 2.0 / 3.0).ln());
}

/// The stories of 20 000 draws, each with its log-probability; all stories of a small grammar.
fn all_stories(g: &Grammar) -> BTreeMap<String, f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    (0..20_000).map(|_| g.sample(&mut rng)).collect()
}

#[test]
fn small_grammars_sum_to_one_and_agree_with_the_closed_form() {
    let sources = [
        "story = {a} [met|saw] {b}[|. ^{a.they} <ran>|. {b} <ran>].\nran =~\n  ran\n  ran away[|, and {a} fell]\n",
        "story =\n  2: {a} and {b}[| and <x>]\n  {b}[|, <x>[|, <y>]] alone\n  no one\nx = [2: tea|bread]\ny = [3: jam|ham]\n",
    ];
    for source in sources {
        let g = with_people(source).unwrap();
        let all = all_stories(&g);
        close(all.values().map(|p| p.exp()).sum(), 1.0);
        close(all.values().map(|p| -p * p.exp()).sum(), g.entropy());
        close(all.iter().map(|(s, p)| s.len() as f64 * p.exp()).sum(), g.mean_chars());
        for (story, log_prob) in &all {
            close(g.log_prob(story).unwrap(), *log_prob);
        }
    }
}

#[test]
fn character_probabilities_are_prefix_probabilities() {
    let g = with_people("story = {a} and {b}[| ran].").unwrap();
    let all = all_stories(&g);
    let mass =
        |prefix: &str| all.iter().filter(|(s, _)| s.starts_with(prefix)).map(|(_, p)| p.exp()).sum::<f64>();
    for story in all.keys() {
        let log_probs = g.char_log_probs(story).unwrap();
        for (i, log_prob) in log_probs.iter().enumerate() {
            close(*log_prob, (mass(&story[..=i]) / mass(&story[..i])).ln());
        }
    }
}

#[test]
fn a_sample_has_the_probability_it_says() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..2_000 {
        let (story, log_prob) = stories().sample(&mut rng);
        let chars = stories().char_log_probs(&story).unwrap_or_else(|e| panic!("{e}\n{story}"));
        assert!((chars.iter().sum::<f64>() - log_prob).abs() < 1e-9, "{story}");
        assert_eq!(chars.len(), story.chars().count());
    }
}

#[test]
fn entropy_and_length_are_the_means_of_samples() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let drawn: Vec<(String, f64)> = (0..20_000).map(|_| stories().sample(&mut rng)).collect();
    within(drawn.iter().map(|(_, p)| -p).collect(), stories().entropy());
    within(drawn.iter().map(|(s, _)| s.chars().count() as f64).collect(), stories().mean_chars());
}

/// The mean is within 3 standard errors of what is expected.
fn within(sample: Vec<f64>, expected: f64) {
    let n = sample.len() as f64;
    let mean = sample.iter().sum::<f64>() / n;
    let error = (sample.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
    assert!((mean - expected).abs() < 3.0 * error, "mean {mean} ± {error}, expected {expected}");
}

// ---------------------------------------------------------------- texts that are refused

fn refusal<T: std::fmt::Debug>(result: llm_course::Result<T>, parts: &[&str]) {
    let message = result.expect_err("should be refused").to_string();
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn a_text_is_refused_where_it_leaves_the_grammar() {
    let g = with_people("story = {a} [walks|works|sings[| to {b}]].").unwrap();
    refusal(
        g.log_prob("Ann walls.\n"),
        &["character 7 (line 1)", "found `l` after `Ann wal`", "expected `ks`"],
    );
    refusal(
        g.log_prob("Bob sings.\nEve"),
        &["character 11 (line 2)", "at the start of a story", "`Ann`, `Bob`"],
    );
    refusal(
        g.log_prob("Bob sings"),
        &["character 9", "the text ends in the middle of a story", "expected `.`, ` to`"],
    );
    refusal(g.log_prob("Bob sings. \n"), &["character 10", "expected the end of the line"]);
    refusal(stories().log_prob("It was a dark and stormy night.\n"), &["character 1 ", "after `I`"]);
}

// ---------------------------------------------------------------- ambiguous grammars

/// [`Grammar::stories`] leaves the check to this test.
#[test]
fn the_stories_are_unambiguous() {
    let text = include_str!("../data/stories.grammar");
    assert_eq!(Grammar::parse(text).expect("unambiguous").entropy(), stories().entropy());
}

#[test]
fn ambiguity_is_refused_and_named() {
    let same = Grammar::parse("story =\n  a cat\n  a [cat|dog]\n");
    refusal(
        same,
        &[
            "line 3",
            "rule `story`",
            "`a cat` (line 2)",
            "`a [cat|dog]` (line 3)",
            "the same text, ending in `a cat`",
        ],
    );
    let follow = Grammar::parse("story = the[|, old] <end>\nend =\n  cat\n  old cat\n");
    assert!(follow.is_ok(), "the comma tells: {follow:?}");
    let follow = Grammar::parse("story = the[| old] <end>\nend =\n  cat\n  old cat\n");
    refusal(follow, &["line 1", "alternatives `` (line 1) and ` old` (line 1)", "ending in ` old cat`"]);
    let lists = Grammar::parse("story = [tea|tea and jam][| and jam].");
    refusal(lists, &["line 1", "`tea`", "`tea and jam`", "tea and jam."]);
    let capitals = Grammar::parse("story = [^the end|The end]");
    refusal(capitals, &["the same text, ending in `the end`"]);
    let long = "very ".repeat(12);
    let far = Grammar::parse(&format!("story =\n  {long}good\n  {long}bad\n"));
    refusal(far, &["line 3", "both can begin with `very very", "merge what they share"]);
}

#[test]
fn ambiguous_variables_are_refused_and_named() {
    refusal(
        with_people("story = ^{a.they} is {a.they}[| or {b}]."),
        &["variable `a` is first used here, as `{a.they}`", "`Ann` from `Annabel`", "`she is she or bob.`"],
    );
    refusal(
        with_people("story = [{a}|{b}] ran."),
        &["alternatives `{a}` (line 7) and `{b}` (line 7)", "`ann ran.`"],
    );
    let bound = with_people("story = {a} ran. [{a}|{b}] fell.");
    assert!(bound.is_ok(), "a is bound, so b is someone else: {bound:?}");
    refusal(
        with_people("story = {a} ran. [^{a.they}|^{b.they}] fell[| on {b}]."),
        &["alternatives `^{a.they}`"],
    );
    let later = with_people("story = ^{a.they}, namely {a}, ran[| to {b}].");
    assert!(later.is_ok(), "the name comes soon enough: {later:?}");
}

// ---------------------------------------------------------------- malformed grammars

#[test]
fn malformed_grammars_are_refused_with_advice() {
    let cases: &[(&str, &[&str])] = &[
        ("", &["no rule `story`"]),
        ("story = a <b>", &["line 1", "no rule `b`", "write `b =`"]),
        ("story = a\nb = c", &["line 2", "no story can reach rule `b`"]),
        ("story =\n  0: a\n  b", &["line 2", "weight `0` is not a positive number"]),
        ("story =\n  a\n  -2: b", &["line 3", "weight `-2`"]),
        ("story = [1e999: a|b]", &["line 1", "weight `1e999`"]),
        ("story = a[|<story>]", &["line 1", "rule `story` can reach itself", "write repetitions out"]),
        ("story = a <b>\nb = c[| <d>]\nd = <b>", &["line 2", "rule `b` can reach itself", "`d`"]),
        ("story =\n", &["line 1", "rule `story` is empty"]),
        ("story = a {x}", &["line 1", "no variable `x`", "var x: CLASS"]),
        ("story = a {x", &["line 1", "not closed", "add `}`"]),
        ("story = a [b|c", &["line 1", "not closed", "add `]`"]),
        ("story = a ] b", &["line 1", "`]` has nothing to close"]),
        ("  a\nstory = b", &["line 1", "needs a header"]),
        ("story = a\nstory = b", &["line 2", "already the name of something in line 1"]),
        ("hello\nstory = a", &["line 1", "expected `NAME =`"]),
        ("a b = c\nstory = a", &["line 1", "`a b` is no name"]),
        ("class c: x\n  1\nvar v: d\nstory = a", &["line 3", "no class `d`"]),
        ("class c: x\n  p\nvar v: c\nstory = a", &["line 3", "variable `v` is never used"]),
        ("class c: x\n  p\nstory = a", &["line 1", "class `c` has no variable"]),
        ("class c: x\nvar v: c\nstory = {v}", &["line 1", "class `c` has 0 entries"]),
        ("class c: x y\n  p | q\n  r\nvar v: c\nstory = {v}", &["line 3", "forms `x y`", "it has 1"]),
        ("class c: x\n  p\nvar v: c\nstory = {v.z}", &["line 4", "has the forms `x`"]),
        ("class c: x\n  p\nvar v w: c\nstory = {v} {w}", &["line 1", "1 entries but 2 variables"]),
        ("class c: x\n  p\nvar v: c\nstory = {v}s", &["line 4", "word of `{v}s` is put together"]),
        ("class c\n  p\nstory = a", &["line 1", "the `:` is missing"]),
    ];
    for (source, parts) in cases {
        refusal(Grammar::parse(source), parts);
    }
    refusal(Grammar::from_file("no/such.grammar"), &["no/such.grammar", "give the path of a grammar"]);
}

// ---------------------------------------------------------------- the corpus

#[test]
fn the_corpus_is_large_and_varied() {
    let text = corpus();
    let chars = Grammar::alphabet(text);
    assert!(text.is_ascii() && (50..=75).contains(&chars.len()), "{} distinct characters", chars.len());
    let paragraphs: Vec<&str> = text.lines().collect();
    assert_eq!(paragraphs.iter().collect::<BTreeSet<_>>().len(), paragraphs.len(), "a paragraph is repeated");
    for p in &paragraphs {
        assert!(
            (150..1200).contains(&p.len()) && p.matches('"').count() % 2 == 0 && !p.contains("  "),
            "{p}"
        );
    }
}

#[test]
fn the_vocabulary_occurs() {
    let vocabulary: BTreeSet<String> = stories().vocabulary().into_iter().collect();
    let words = corpus().split(|c: char| !c.is_alphabetic() && c != '\'');
    let found: BTreeSet<String> =
        words.map(|w| w.strip_suffix("'s").unwrap_or(w).to_lowercase()).filter(|w| !w.is_empty()).collect();
    assert!(found.len() >= 800, "{} words", found.len());
    assert_eq!(found.difference(&vocabulary).collect::<Vec<_>>(), Vec::<&String>::new());
    let rare = vocabulary.difference(&found).collect::<Vec<_>>();
    assert!(rare.is_empty(), "words that do not occur in two million characters: {rare:?}");
}

#[test]
fn a_seed_gives_the_same_text_for_ever() {
    assert_eq!(stories().text(5_000, 3), stories().text(5_000, 3));
    assert_ne!(stories().text(5_000, 3), stories().text(5_000, 4));
    let small = with_people("story = {a} met {b}.").unwrap();
    assert_eq!(small.text(60, 1).lines().count(), small.text(60, 1).matches('\n').count());
    assert!(small.text(60, 1).len() >= 60);
}

#[test]
fn words_with_two_senses_occur_in_both() {
    let senses = [
        ["football match", "match burned down"],
        ["coins to the bank", "the bank of the river"],
        ["held the bat", "bat hung upside down"],
        ["In spring,", "steel spring"],
        ["loudest bark", "Its bark was"],
    ];
    for sense in senses.iter().flatten() {
        assert!(corpus().matches(sense).count() > 10, "{sense}");
    }
}
