//! The bilingual grammar: one translation each, correct French where a rule can tell, gold links, the held-out
//! combinations, lengths; and what is refused.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::OnceLock;

use llm_course::bilingual::{BilingualGrammar, Pair, length_fifth};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn translation() -> &'static BilingualGrammar {
    static GRAMMAR: OnceLock<BilingualGrammar> = OnceLock::new();
    GRAMMAR.get_or_init(BilingualGrammar::translation)
}

/// 50,000 pairs with the log-probabilities of their derivations.
fn draws() -> &'static [(Pair, f64)] {
    static DRAWS: OnceLock<Vec<(Pair, f64)>> = OnceLock::new();
    DRAWS.get_or_init(|| {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        (0..50_000).map(|_| translation().sample(&mut rng)).collect()
    })
}

fn one(grammar: &str) -> Pair {
    BilingualGrammar::parse(grammar).unwrap().sample(&mut ChaCha8Rng::seed_from_u64(0)).0
}

// ---------------------------------------------------------------- the corpus

#[test]
fn an_english_sentence_has_one_translation_one_alignment_and_one_derivation() {
    let mut known: HashMap<String, &(Pair, f64)> = HashMap::new();
    let mut repeated = 0;
    for draw in draws() {
        let Some(first) = known.insert(draw.0.src.join(" "), draw) else { continue };
        repeated += 1;
        assert_eq!(first.0, draw.0);
        assert!((first.1 - draw.1).abs() < 1e-9, "two derivations: {}", draw.0);
    }
    assert!(repeated > 500, "only {repeated} of 50,000 draws tell anything");
}

#[test]
fn there_are_300_words_on_each_side_and_they_are_words() {
    let sides = |pair: &'static Pair| [&pair.src, &pair.tgt];
    let mut words = [BTreeSet::new(), BTreeSet::new()];
    for (pair, _) in draws() {
        for (words, side) in words.iter_mut().zip(sides(pair)) {
            words.extend(side.iter().map(String::as_str));
        }
    }
    for words in &words {
        assert!(words.len() >= 300, "{} words", words.len());
        let strange =
            |w: &&&str| !w.chars().all(|c| c.is_alphabetic() || "'-.,?".contains(c)) || w.is_empty();
        assert_eq!(words.iter().filter(strange).collect::<Vec<_>>(), Vec::<&&str>::new());
    }
}

/// What French never says, whatever the grammar's own tables hold.
#[test]
fn french_elides_and_contracts() {
    let before_vowel = "le la je me te se ne de que ce ma ta sa beau nouveau";
    let before_vowel: BTreeSet<&str> = before_vowel.split(' ').collect();
    let elided: BTreeSet<&str> = "l' j' m' t' s' n' d' qu' cet bel nouvel vieil".split(' ').collect();
    let aspirated =
        ["héros", "hibou", "hiboux", "hamster", "hamsters", "haricot", "haricots", "hache", "haches"];
    let vowel = |w: &str| w.starts_with(|c: char| "aàâeéèêiîoôœuhy".contains(c.to_ascii_lowercase()));
    let begins = |w: &str| vowel(&w.to_lowercase()) && !aspirated.contains(&w);
    for (pair, _) in draws() {
        for two in pair.tgt.windows(2) {
            let (a, b) = (two[0].as_str(), two[1].as_str());
            let pause = matches!((a, b), ("beau" | "nouveau", "et"));
            assert!(!(before_vowel.contains(a) && begins(b)) || pause, "{a} {b} in {pair}");
            assert!(!elided.contains(a) || begins(b), "{a} {b} in {pair}");
            assert!(!matches!((a, b), ("de" | "à", "le" | "les")) || clitic(pair, b), "{a} {b} in {pair}");
        }
        let english = pair.src.windows(2).filter(|two| two[0] == "a" || two[0] == "an");
        for two in english {
            let vowel = two[1] != "useful" && two[1].to_lowercase().starts_with(['a', 'e', 'i', 'o', 'u']);
            assert_eq!(two[0] == "an", vowel, "{pair}");
        }
    }
}

/// Whether `le` or `les` may be a pronoun here: "essaie de le voir".
fn clitic(pair: &Pair, word: &str) -> bool {
    let pronoun: &[&str] = if word == "le" { &["him", "it"] } else { &["them"] };
    pair.src.iter().any(|w| pronoun.contains(&w.as_str()))
}

#[test]
fn order_agreement_negation_and_clitics_by_hand() {
    let cases = [
        (" the red car ", "la voiture rouge "),
        (" the big dog ", "le gros chien "),
        (" the big car ", "la grande voiture "),
        (" some old ", "de vie"),
        (" the old hotel ", "vieil hôtel "),
        (" my friend Marie ", "mon amie Marie "),
        ("^ she gave the books to the ", "elle a donné les livres à la "),
        ("^ they gave her the small doll ", "ils lui ont donné la petite poupée "),
        ("^ they saw her ", "ils l' ont vue "),
        ("^ they got up ", "ils se sont levés "),
        ("^ she got up ", "elle s' est levée "),
        (" play the piano ", "du piano "),
        (" is hungry ", "a faim "),
        (" go to the hospital ", "à l' hôpital "),
        (" go to the market ", "au marché "),
        (" did not eat any apples ", "n' a pas mangé de pommes "),
        ("^ what do you buy ", "qu' est-ce que tu achètes "),
    ];
    for (en, fr) in cases {
        let mut found = 0;
        let sentences = draws().iter().map(|(p, _)| (format!("^ {} ", p.src.join(" ")), p.tgt.join(" ")));
        for (src, tgt) in sentences.filter(|(src, _)| src.contains(en)) {
            assert!(tgt.contains(fr), "{src} → {tgt}");
            found += 1;
        }
        assert!(found > 0, "no sentence with `{en}`");
    }
}

/// "la lettre que Paul a écrite": the article tells the gender of the object before the participle (but of "les
/// livres de la reine que Paul a pris" it is not the queen).
#[test]
fn participles_agree_with_the_object_before_them() {
    let mut checked = [0, 0];
    let windows = draws().iter().flat_map(|(pair, _)| pair.tgt.windows(7));
    for six in windows.filter(|w| w[0] != "de" && w[0] != "à").map(|w| &w[1..]) {
        let gender = match six[0].as_str() {
            "le" | "un" | "ce" => 0,
            "la" | "une" | "cette" => 1,
            _ => continue,
        };
        if matches!(six[2].as_str(), "que" | "qu'") && six[4] == "a" {
            assert_eq!(six[5].ends_with('e'), gender == 1, "{}", six.join(" "));
            checked[gender] += 1;
        }
    }
    assert!(checked.iter().all(|&n| n > 50), "{checked:?}");
}

#[test]
fn every_fifth_of_the_lengths_is_well_filled() {
    assert_eq!(
        [3, 8, 9, 14, 15, 19, 20, 25, 26, 30].map(length_fifth),
        [Some(0), Some(0), Some(1), Some(1), Some(2), Some(2), Some(3), Some(3), Some(4), Some(4)]
    );
    assert_eq!([2, 31].map(length_fifth), [None, None]);
    let mut seen = HashSet::new();
    let pairs = translation().distinct(1_000, false, &mut seen, &mut ChaCha8Rng::seed_from_u64(3)).unwrap();
    let mut fifths: BTreeMap<usize, usize> = BTreeMap::new();
    let mut lengths = BTreeSet::new();
    for pair in &pairs {
        *fifths.entry(length_fifth(pair.words()).expect("3 to 30 words")).or_default() += 1;
        lengths.insert(pair.words());
        assert!(!pair.held_out);
    }
    assert_eq!(fifths.into_values().collect::<Vec<_>>(), [200; 5]);
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), (3..=30).collect::<Vec<_>>());
    assert_eq!(seen.len(), 1_000, "all are distinct");
}

#[test]
fn a_seed_gives_the_same_pairs() {
    let draw = |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        translation().distinct(50, true, &mut HashSet::new(), &mut rng).unwrap()
    };
    assert_eq!(draw(4), draw(4));
    assert_ne!(draw(4), draw(5));
}

// ---------------------------------------------------------------- gold links

/// Words that carry no meaning of their own, so that no sure link is asked of them.
const FUNCTION_WORDS: &str = "do does did will to there a an";

#[test]
fn links_are_in_range_and_every_content_word_has_one() {
    let function: BTreeSet<&str> = FUNCTION_WORDS.split(' ').collect();
    for (pair, _) in draws() {
        let links = &pair.alignment;
        assert!(links.possible.iter().all(|&(i, j)| i < pair.src.len() && j < pair.tgt.len()), "{pair}");
        assert!(links.possible.windows(2).all(|w| w[0] < w[1]), "sorted, none twice");
        assert!(links.sure.iter().all(|link| links.possible.contains(link)), "{pair}");
        for (i, word) in pair.src.iter().enumerate() {
            let sure = links.sure.iter().any(|link| link.0 == i);
            assert!(sure || function.contains(word.as_str()), "{word} of {pair}");
            let linked = sure || links.possible.iter().any(|link| link.0 == i);
            assert!(linked || word == "to", "{word} of {pair}");
        }
        for (j, word) in pair.tgt.iter().enumerate() {
            assert!(links.possible.iter().any(|link| link.1 == j) || word == "à", "{word} of {pair}");
        }
    }
}

#[test]
fn names_numbers_and_stops_are_linked_to_themselves() {
    let same = [("Paul", "Paul"), ("Marie", "Marie"), ("seven", "sept"), ("because", "parce"), (".", ".")];
    let same = same.into_iter().chain([("yesterday", "hier"), ("never", "jamais"), ("garden", "jardin")]);
    for (en, fr) in same {
        let with = draws().iter().filter(|(p, _)| p.src.iter().filter(|w| *w == en).count() == 1);
        let mut found = 0;
        for (pair, _) in with {
            let i = pair.src.iter().position(|w| w == en);
            let j = pair.tgt.iter().position(|w| w == fr);
            assert!(i.zip(j).is_some_and(|link| pair.alignment.sure.contains(&link)), "{en} {fr} in {pair}");
            found += 1;
        }
        assert!(found > 100, "{en}: {found}");
    }
}

#[test]
fn links_by_hand() {
    let pair = one("class verb: to fr\n  eat | mange\nclass thing: en fr\n  potato | pomme de terre\n\
                    sentence = she:1 does?verb not:2 {verb.to} the:3 {thing.en} .:4 => elle:1 ne:2 {verb.fr} pas:2 la:3 {thing.fr} .:4\n");
    assert_eq!(pair.to_string(), "she does not eat the potato . → elle ne mange pas la pomme de terre .");
    let sure = vec![(0, 0), (2, 1), (2, 3), (3, 2), (4, 4), (5, 5), (5, 6), (5, 7), (6, 8)];
    assert_eq!(pair.alignment.sure, sure);
    let possible: Vec<_> = pair.alignment.possible.iter().filter(|link| !sure.contains(link)).collect();
    assert_eq!(possible, [&(1, 2)]);
}

#[test]
fn neighbours_act_from_the_last_word_to_the_first() {
    let rules = "vowels fr: aeiouh\nelide fr: le=l' de=d' vieux=vieil\ncontract fr: de+le=du\nvowels en: aeiou\nelide en: a=an\n";
    let french = |text: &str| one(&format!("{rules}sentence = a apple => {text}")).tgt.join(" ");
    assert_eq!(french("de le lait"), "du lait");
    assert_eq!(french("de le ami"), "de l' ami");
    assert_eq!(french("de eau"), "d' eau");
    assert_eq!(french("le *hibou"), "le hibou");
    assert_eq!(french("de *le voir"), "de le voir");
    assert_eq!(french("de *le aimer"), "de l' aimer");
    assert_eq!(french("vieux ami"), "vieil ami");
    assert_eq!(french("vieux/ amis"), "vieux amis");
    assert_eq!(french("vieux / et _ las"), "vieux et las");
    assert_eq!(one(&format!("{rules}sentence = a apple => x")).src.join(" "), "an apple");
    let merged = one(&format!("{rules}sentence = of:1 the:2 milk => de:1 le:2 lait"));
    assert_eq!(merged.alignment.sure, [(0, 0), (1, 0)], "a contraction keeps the links of both words");
}

// ---------------------------------------------------------------- what is held out

/// Colours and things, of which every combination is an English sentence of its own.
const COLOURS: &str = "
class colour: en fr
  red | rouge
  blue | bleue
  green | verte
  white | blanche
  black | noire
  grey | grise
class thing: en fr
  car | voiture
  door | porte
  lamp | lampe
  chair | chaise
  key | clé
  box | boîte
  table | table
  ring | bague
held-out 4: thing
sentence = <thing>
thing = {colour.en} {thing.en} => {thing.fr} {colour.fr}
";

#[test]
fn held_out_combinations_are_disjoint_and_their_words_known() {
    let grammar = BilingualGrammar::parse(COLOURS).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut parts = [BTreeSet::new(), BTreeSet::new()];
    for _ in 0..5_000 {
        let pair = grammar.sample(&mut rng).0;
        parts[usize::from(pair.held_out)].insert(pair.src.join(" "));
    }
    let [shown, held_out] = &parts;
    assert_eq!(shown.len() + held_out.len(), 48, "each combination is either shown or held out");
    assert!(shown.is_disjoint(held_out));
    assert!((6..=18).contains(&held_out.len()), "a quarter of 48 is 12, found {}", held_out.len());
    let words = |set: &BTreeSet<String>| -> BTreeSet<String> {
        set.iter().flat_map(|s| s.split(' ')).map(String::from).collect()
    };
    assert!(words(held_out).is_subset(&words(shown)));
}

#[test]
fn the_corpus_holds_an_eighth_of_its_combinations_out() {
    let colours = ["red", "blue", "green", "yellow", "black", "white", "grey", "brown", "pink", "purple"];
    let things =
        ["car", "table", "chair", "letter", "key", "lamp", "book", "bed", "mirror", "boat", "bag", "toy"];
    let mut shown = BTreeSet::new();
    let mut held_out = BTreeSet::new();
    for (pair, _) in draws() {
        for two in pair.src.windows(2) {
            let thing = two[1].trim_end_matches('s');
            if colours.contains(&two[0].as_str()) && things.contains(&thing) {
                let set = if pair.held_out { &mut held_out } else { &mut shown };
                set.insert(format!("{} {thing}", two[0]));
            }
        }
    }
    let never_shown: Vec<&String> = held_out.difference(&shown).collect();
    let all = shown.union(&held_out).count();
    assert_eq!(all, 120, "every combination occurs");
    assert!((6..=26).contains(&never_shown.len()), "an eighth of 120 is 15, found {}", never_shown.len());
}

// ---------------------------------------------------------------- refusals

#[test]
fn malformed_grammars_are_refused_with_advice() {
    let cases: &[(&str, &[&str])] = &[
        ("", &["no rule `sentence`"]),
        ("sentence = a <b>", &["line 1", "no rule `b`"]),
        ("sentence = <b x>\nb = a", &["line 1", "no rule `b` with 1 parameters"]),
        ("sentence = a $b", &["line 1", "`$b` is no parameter"]),
        ("sentence = a <sentence>", &["line 1", "`sentence` can reach itself"]),
        ("sentence = a\nb = c", &["line 2", "no sentence can reach rule `b`"]),
        ("sentence = a\nsentence = b", &["line 2", "already in line 1"]),
        ("sentence =", &["line 1", "is empty"]),
        ("sentence = {c.en}", &["line 1", "no class `c`"]),
        ("class c: en\n  x\nsentence = {c.fr}", &["line 3", "class `c` has the forms `en`"]),
        ("class c: en\n  x\nsentence = {c.en", &["line 3", "should be {class.form}"]),
        ("class c: en\n  x\nsentence = a", &["line 1", "class `c` is never used"]),
        ("class c: en fr\n  x\nsentence = {c.en}", &["line 2", "it has 1"]),
        ("class c: en fr\n  x:s\nsentence = {c.en}", &["line 2", "no ending `s`"]),
        ("class c: en\n  x\n  y\nsentence = a => {c.en}", &["line 4", "for the French side only"]),
        ("sentence = <b> => a\nb = c", &["line 1", "once on both sides"]),
        ("vowels de: a\nsentence = a", &["line 1", "en or fr, not `de`"]),
        ("elide fr: le\nsentence = a", &["line 1", "le=l'"]),
        ("held-out 1: sentence\nsentence = a", &["line 1", "held-out 8"]),
        ("held-out 8: b\nsentence = a", &["line 1", "no rule `b`"]),
        ("ending s\nsentence = a", &["line 1", "expected `KEYWORD NAME: WORD …`"]),
        ("hello", &["line 1", "expected `NAME =`"]),
    ];
    for (source, parts) in cases {
        let message = BilingualGrammar::parse(source).expect_err(source).to_string();
        for part in *parts {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }
    let missing = BilingualGrammar::from_file("no/such.grammar").unwrap_err().to_string();
    assert!(missing.contains("no/such.grammar") && missing.contains("give the path"), "{missing}");
    let small = BilingualGrammar::parse("sentence = one two three").unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let few = small.distinct(5, false, &mut HashSet::new(), &mut rng).unwrap_err().to_string();
    assert!(few.contains("ask for fewer"), "{few}");
}

#[test]
fn the_example_of_the_documentation_is_a_grammar() {
    let page = include_str!("../lib/src/bilingual.rs");
    let example = page.split("```text\n").nth(1).and_then(|rest| rest.split("//! ```").next()).unwrap();
    let code = |line: &str| {
        line.trim_start_matches("//! ").trim_start_matches("//!").split(" # ").next().unwrap().to_string()
    };
    let text: Vec<String> = example.lines().map(code).collect();
    let pair = one(&text.join("\n"));
    assert!(pair.tgt.contains(&"elle".to_string()), "{pair}");
}
