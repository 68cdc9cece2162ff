//! Tokenizers against the `tokenizers` crate, published examples, and the text they were made from.

use std::path::PathBuf;
use std::sync::OnceLock;

use ::tokenizers::models::bpe::{BPE, BpeTrainer};
use ::tokenizers::pre_tokenizers::byte_level::ByteLevel;
use ::tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};
use ::tokenizers::{Tokenizer as Library, models::TrainerWrapper};
use llm_course::grammar::Grammar;
use llm_course::tokenizers::{
    Bpe, Pretrained, Tokenizer, WordPiece, WordTokenizer, bert_words, gpt2_split, join_words, split_words,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

/// English stories, one a line.
fn stories() -> &'static str {
    static STORIES: OnceLock<String> = OnceLock::new();
    STORIES.get_or_init(|| Grammar::stories().text(200_000, 3))
}

/// Text in many scripts: a tokenizer that learns from it has merges inside and across their characters.
const SCRIPTS: [&str; 8] = [
    "Ça va très bien, l'été n'était-il pas là? Œuvre, naïf, Noël.",
    "Größe, Straße, Übermut: 1.234,56 €; das ist's!",
    "Η γρήγορη αλεπού πηδάει. Съешь же ещё этих мягких булок.",
    "いろはにほへと 東京都に行った。我們去北京,一共三個人。",
    "다람쥐 헌 쳇바퀴에 타고파. ทุกคนมีสิทธิ์",
    "كل إنسان يولد حرا ומישהו אחר בא",
    "I'll say they've won; we'd go, I'm sure it's theirs... 42nd   street",
    "👩\u{200D}👩\u{200D}👧 e\u{301}\u{323} \u{1F1EB}\u{1F1F7} ﬁne ½ x² ⅷ Ⓐ\u{A0}\u{3000}\t\r\n _~^ <>",
];

/// Stories and all scripts, each often enough to be learnt.
fn corpus() -> &'static str {
    static CORPUS: OnceLock<String> = OnceLock::new();
    CORPUS.get_or_init(|| format!("{}{}", stories(), (SCRIPTS.join("\n") + "\n").repeat(30)))
}

fn own_bpe() -> &'static Bpe {
    static BPE: OnceLock<Bpe> = OnceLock::new();
    BPE.get_or_init(|| Bpe::train(corpus(), 2000).unwrap())
}

/// A string of up to 30 parts: any character at all, ASCII, spaces, or what the tokenizers have learnt.
fn random_text(rng: &mut ChaCha8Rng, any: fn(&mut ChaCha8Rng) -> char) -> String {
    let words: Vec<&str> = SCRIPTS.iter().flat_map(|line| line.split(' ')).collect();
    let mut text = String::new();
    for _ in 0..rng.random_range(0..30) {
        match rng.random_range(0..5) {
            0 => text.push(any(rng)),
            1 => text.push(rng.random_range(' '..='~')),
            2 => text.push(*[' ', ' ', '\n', '\t', '\'', '\u{A0}'].choose(rng).unwrap()),
            3 => text.push_str(words.choose(rng).unwrap()),
            _ => text.extend(words.choose(rng).unwrap().chars().take(rng.random_range(1..4))),
        }
    }
    text
}

fn any_char(rng: &mut ChaCha8Rng) -> char {
    rng.random()
}

fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    folder.join(format!("{name}-{}.json", std::process::id()))
}

/// Saves, hands the file to `open`, removes it.
fn through_file<T>(
    name: &str,
    save: impl Fn(&PathBuf) -> llm_course::Result<()>,
    open: impl Fn(&PathBuf) -> T,
) -> T {
    let path = scratch(name);
    save(&path).unwrap();
    let opened = open(&path);
    std::fs::remove_file(path).unwrap();
    opened
}

fn in_crate(bpe: &Bpe, name: &str) -> Library {
    through_file(name, |path| bpe.save(path), |path| Library::from_file(path).unwrap())
}

fn crate_ids(library: &Library, text: &str) -> Vec<i64> {
    library.encode(text, false).unwrap().get_ids().iter().map(|&id| id.into()).collect()
}

/// <https://en.wikipedia.org/wiki/Byte-pair_encoding>: aaabdaaabac → XdXac with Z = aa, Y = ab, X = ZY.
#[test]
fn wikipedias_example() {
    let bpe = Bpe::train("aaabdaaabac", 259).unwrap();
    let [a, b] = ["a", "b"].map(|token| bpe.id(token).unwrap());
    let (z, y, x) = (256, 257, 258);
    assert_eq!(bpe.merges(), [(a, a), (a, b), (z, y)]);
    let [d, c] = ["d", "c"].map(|token| bpe.id(token).unwrap());
    assert_eq!(bpe.encode("aaabdaaabac"), [x, d, x, a, c]);
}

/// The first ids are GPT-2's: `!` is 0, a space is 220 (`Ġ`), a newline 198 (`Ċ`).
#[test]
fn bytes_have_gpt2s_ids() {
    let bpe = Bpe::from_merges(&[]).unwrap();
    assert_eq!(bpe.encode("!~ \n\0"), [0, 93, 220, 198, 188]);
    assert_eq!(bpe.vocab_size(), 256);
}

/// Vocabulary and merges, exactly; of equally frequent pairs both take the one with the smallest ids.
#[test]
fn training_learns_the_crates_merges() {
    for (text, vocab_size) in [(stories(), 1000), (corpus(), 2500), ("low lower lowest new newer", 300)] {
        let mut library = Library::new(BPE::default());
        library.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
        let trainer = BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(vocab_size)
            .min_frequency(2)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect());
        library.train(&mut TrainerWrapper::from(trainer.build()), std::iter::once(text)).unwrap();
        let theirs: serde_json::Value = serde_json::from_str(&library.to_string(false).unwrap()).unwrap();

        let bpe = Bpe::train(text, vocab_size as i64).unwrap();
        let save = |path: &PathBuf| bpe.save(path);
        let ours = through_file("merges", save, |path| std::fs::read_to_string(path).unwrap());
        let ours: serde_json::Value = serde_json::from_str(&ours).unwrap();
        assert!(bpe.merges().len() > 5);
        assert_eq!(ours["model"]["merges"], theirs["model"]["merges"]);
        assert_eq!(ours["model"]["vocab"], theirs["model"]["vocab"]);
    }
}

/// 10,000 random Unicode strings, the stories and every script; back to text as well.
#[test]
fn ids_are_the_crates() {
    let library = in_crate(own_bpe(), "ids");
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let strings = (0..10_000).map(|_| random_text(&mut rng, any_char));
    let lines = stories().lines().chain(SCRIPTS).map(String::from);
    for text in strings.chain(lines) {
        let ids = own_bpe().encode(&text);
        assert_eq!(ids, crate_ids(&library, &text), "{text:?}");
        assert_eq!(own_bpe().decode(&ids), text);
    }
}

/// Merges that no training would learn in this order: the rank decides, then the position.
#[test]
fn odd_merges_encode_as_in_the_crate() {
    let [a, b, c] = ["a", "b", "c"].map(|token| Bpe::from_merges(&[]).unwrap().id(token).unwrap());
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for round in 0..20 {
        let mut merges: Vec<(i64, i64)> = Vec::new();
        let mut pieces = vec![a, b, c];
        let mut texts = std::collections::HashSet::new();
        while merges.len() < 12 {
            let pair = (*pieces.choose(&mut rng).unwrap(), *pieces.choose(&mut rng).unwrap());
            let id = 256 + merges.len() as i64;
            let longer = Bpe::from_merges(&[&merges[..], &[pair]].concat());
            if longer.is_ok_and(|bpe| texts.insert(bpe.token(id))) {
                merges.push(pair);
                pieces.push(id);
            }
        }
        let bpe = Bpe::from_merges(&merges).unwrap();
        let library = in_crate(&bpe, &format!("odd{round}"));
        for _ in 0..100 {
            let text: String = (0..40).map(|_| *['a', 'b', 'c'].choose(&mut rng).unwrap()).collect();
            assert_eq!(bpe.encode(&text), crate_ids(&library, &text), "{text} with {merges:?}");
        }
    }
}

#[test]
fn words_are_cut_where_the_crate_cuts() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    for _ in 0..5_000 {
        let text = random_text(&mut rng, any_char);
        let mut pieces = PreTokenizedString::from(text.as_str());
        ByteLevel::new(false, true, true).pre_tokenize(&mut pieces).unwrap();
        let theirs: Vec<&str> = pieces
            .get_splits(OffsetReferential::Original, OffsetType::Byte)
            .into_iter()
            .map(|(_, (start, end), _)| &text[start..end])
            .collect();
        assert_eq!(gpt2_split(&text), theirs, "{text:?}");
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..Default::default() }
}

proptest! {
    #![proptest_config(cases(2000))]

    /// For every string of Unicode characters, with and without merges.
    #[test]
    fn bpe_decodes_what_it_encoded(chars in prop::collection::vec(any::<char>(), 0..60), ascii in "[ -~\\s]{0,60}") {
        let text = chars.into_iter().collect::<String>() + &ascii;
        prop_assert_eq!(own_bpe().decode(&own_bpe().encode(&text)), text.clone());
        let bytes = Bpe::from_merges(&[]).unwrap();
        prop_assert_eq!(bytes.encode(&text).len(), text.len());
        prop_assert_eq!(bytes.decode(&bytes.encode(&text)), text);
    }

    /// Any ids decode to something, and encoding is total.
    #[test]
    fn nothing_panics(ids in prop::collection::vec(any::<i64>(), 0..20), text in any::<String>()) {
        let words = WordTokenizer::new("to be or not to be");
        let pieces = WordPiece::train("to be or not to be", 40).unwrap();
        for tokenizer in [own_bpe() as &dyn Tokenizer, &words, &pieces] {
            let outside = ids.iter().filter(|&&id| id < 0 || id >= tokenizer.vocab_size()).count();
            let replaced = tokenizer.decode(&ids).matches('\u{FFFD}').count();
            prop_assert!(replaced >= outside);
            prop_assert!(tokenizer.encode(&text).iter().all(|id| (0..tokenizer.vocab_size()).contains(id)));
        }
    }
}

/// 100,000 letters without a space: the queue makes this n log n; rescanning for each merge would take minutes.
#[test]
fn one_very_long_word() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    let letters: String = stories().chars().filter(|c| c.is_ascii_lowercase()).collect();
    let start = rng.random_range(0..1000);
    let text = &letters[start..start + 100_000];
    let ids = own_bpe().encode(text);
    assert!(ids.len() < 70_000);
    assert_eq!(own_bpe().decode(&ids), text);
}

#[test]
fn special_tokens_are_never_in_text() {
    let end = "<|endoftext|>";
    let bpe = own_bpe().clone().with_special(&[end]);
    let id = bpe.id(end).unwrap();
    assert_eq!(id, bpe.vocab_size() - 1);
    assert!(!bpe.encode(end).contains(&id));
    assert_eq!(bpe.decode(&[bpe.encode("so."), vec![id]].concat()), "so.<|endoftext|>");
    let library = in_crate(&bpe, "special");
    assert_eq!(library.token_to_id(end).map(i64::from), Some(id));
    let reread = through_file("reread", |path| bpe.save(path), |path| Bpe::load(path).unwrap());
    assert_eq!(reread.merges(), bpe.merges());
    assert_eq!((reread.id(end), reread.vocab_size()), (Some(id), bpe.vocab_size()));
}

#[test]
fn bpe_refuses_with_advice() {
    let says = |result: llm_course::Result<Bpe>, words: &str| {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(words), "{words:?} is not in {message:?}");
    };
    says(Bpe::train("text", 255), "256 ids before the first merge");
    says(Bpe::from_merges(&[(0, 256)]), "less than 256");
    says(Bpe::from_merges(&[(0, 1), (0, 1)]), "each pair comes once");
    says(Bpe::load("no such file"), "check the path");
    let pieces = WordPiece::train("to be", 20).unwrap();
    says(through_file("wrong", |path| pieces.save(path), |path| Bpe::load(path)), "Pretrained::open");
    assert_eq!(Bpe::train("abcd", 300).unwrap().vocab_size(), 256, "no pair occurs twice");
}

#[test]
fn words_of_the_stories_come_back() {
    let tokenizer = WordTokenizer::new(stories());
    for story in stories().lines() {
        assert_eq!(tokenizer.decode(&tokenizer.encode(story)), story);
    }
}

#[test]
fn words_are_ranked_by_frequency() {
    let tokenizer = WordTokenizer::most_frequent("b a b c a b, d", 4).with_special(&["<pad>", "<bos>"]);
    assert_eq!(tokenizer.words(), ["<unk>", "b", "a", ",", "<pad>", "<bos>"]);
    assert_eq!(tokenizer.encode("a <pad> c"), [2, 0, 0, 0, 0]);
    assert_eq!(tokenizer.decode(&[1, 3, 2, 4, 99]), "b, a <pad> \u{FFFD}");
    assert_eq!(WordTokenizer::most_frequent("a b", 0).vocab_size(), 1);
}

#[test]
fn words_given_with_spaces_stay() {
    let french = "l' enfant n' a pas vu aujourd'hui l' arc-en-ciel , peut-être .";
    assert_eq!(split_words(french), french.split(' ').collect::<Vec<_>>());
    assert_eq!(join_words(&split_words(french)), "l'enfant n'a pas vu aujourd'hui l'arc-en-ciel, peut-être.");
    assert_eq!(split_words(" \n"), [""; 0]);
}

/// A character that Unicode 8 knew: the tables of the crate's BERT normaliser are that old. (Since then
/// U+166D has changed from a punctuation mark to a symbol, U+1885 and U+1886 from letters to accents.)
fn old_char(rng: &mut ChaCha8Rng) -> char {
    static OLD: OnceLock<fancy_regex::Regex> = OnceLock::new();
    let old =
        OLD.get_or_init(|| fancy_regex::Regex::new(r"[\p{Age:8.0}--[\x{166D}\x{1885}\x{1886}]]").unwrap());
    loop {
        let c = if rng.random() { rng.random_range('\0'..'\u{3000}') } else { rng.random() };
        if old.is_match(c.encode_utf8(&mut [0; 4])).unwrap() {
            return c;
        }
    }
}

fn own_pieces() -> &'static WordPiece {
    static PIECES: OnceLock<WordPiece> = OnceLock::new();
    PIECES.get_or_init(|| WordPiece::train(corpus(), 1500).unwrap())
}

/// BertNormalizer, BertPreTokenizer and WordPiece on 10,000 random strings, the stories and every script.
#[test]
fn wordpieces_are_the_crates() {
    let open = |path: &PathBuf| Library::from_file(path).unwrap();
    let library = through_file("pieces", |path| own_pieces().save(path), open);
    let mut rng = ChaCha8Rng::seed_from_u64(14);
    let strings = (0..10_000).map(|_| random_text(&mut rng, old_char));
    let lines = stories().lines().chain(SCRIPTS).map(String::from);
    let long =
        ["a".repeat(100), "a".repeat(101), "İstanbul ẞ ǅ ΑΣ".into(), "北京ab\u{0}c\u{FFFD}d\u{AD}e".into()];
    let (mut unknown, mut total) = (0, 0);
    for text in strings.chain(lines).chain(long) {
        let ids = own_pieces().encode(&text);
        assert_eq!(ids, crate_ids(&library, &text), "{text:?}");
        unknown += ids.iter().filter(|&&id| id == 1).count();
        total += ids.len();
    }
    assert!(unknown > 1000 && unknown < total / 4, "{unknown} of {total}: both kinds must be tested");
}

#[test]
fn berts_words() {
    assert_eq!(bert_words("Hello, Wörld!\tÉté—123"), ["hello", ",", "world", "!", "ete", "—", "123"]);
    assert_eq!(bert_words("$5 a\u{200B}b 東京x"), ["$", "5", "ab", "東", "京", "x"]);
}

/// Pairs at first: ##u ##g 20, p ##u 17, ##u ##n 16, h ##u 15. After ##ug: ##u ##n 16, h ##ug 15, p ##u 12. After
/// ##un: h ##ug 15, p ##un 12.
#[test]
fn wordpiece_training_by_hand() {
    let text =
        "hug ".repeat(10) + &"pug ".repeat(5) + &"pun ".repeat(12) + &"bun ".repeat(4) + &"hugs ".repeat(5);
    let pieces = WordPiece::train(&text, 5 + 7 + 4).unwrap();
    let alphabet = ["##g", "##n", "##s", "##u", "b", "h", "p"];
    let learnt = ["##ug", "##un", "hug", "pun"];
    assert_eq!(pieces.vocab()[5..], [&alphabet[..], &learnt].concat());
    assert_eq!(pieces.tokens("hugs bug"), ["hug", "##s", "b", "##ug"]);
    assert_eq!(pieces.decode(&pieces.encode("Pun, hugs")), "pun [UNK] hugs");
}

#[test]
fn wordpiece_covers_what_it_learnt_from() {
    let pieces = WordPiece::train(stories(), 600).unwrap();
    assert_eq!(pieces.vocab_size(), 600);
    assert!(!pieces.encode(stories()).contains(&pieces.id("[UNK]").unwrap()));
    let reread = through_file("wordpiece", |path| pieces.save(path), |path| WordPiece::load(path).unwrap());
    assert_eq!(reread.vocab(), pieces.vocab());
    assert!(WordPiece::train(stories(), 20).unwrap_err().to_string().contains("characters alone take"));
    assert!(WordPiece::from_vocab(vec!["a".into()]).unwrap_err().to_string().contains("[UNK]"));
    assert!(WordPiece::from_vocab(["[UNK]", "a", "a"].map(String::from).to_vec()).is_err());
}

/// The same file behind the same trait; pairs with special tokens and segments as BERT wants them.
#[test]
fn pretrained_files_open() {
    let bert = through_file("bert", |path| own_pieces().save(path), |path| Pretrained::open(path).unwrap());
    let gpt = through_file("gpt", |path| own_bpe().save(path), |path| Pretrained::open(path).unwrap());
    for story in stories().lines().take(50) {
        assert_eq!(bert.encode(story), own_pieces().encode(story));
        assert_eq!(gpt.encode(story), own_bpe().encode(story));
        assert_eq!(gpt.decode(&gpt.encode(story)), story);
    }
    assert_eq!((bert.vocab_size(), gpt.vocab_size()), (1500, own_bpe().vocab_size()));
    assert_eq!(bert.id("[MASK]"), own_pieces().id("[MASK]"));
    assert_eq!(bert.token(3), "[SEP]");
    assert_eq!(gpt.decode(&[gpt.vocab_size(), 0, -1]), "\u{FFFD}!\u{FFFD}");

    let (first, second) = (own_pieces().encode("the dog"), own_pieces().encode("a cat."));
    let (ids, segments) = bert.encode_pair("the dog", Some("a cat."));
    assert_eq!(ids, [&[2], &first[..], &[3], &second[..], &[3]].concat());
    let zeros = first.len() + 2;
    assert!(segments.iter().enumerate().all(|(i, &segment)| segment == i64::from(i >= zeros)));
    assert_eq!(bert.encode_pair("the dog", None).0, [&[2], &first[..], &[3]].concat());
}

#[test]
fn unigram_reaches_its_size_and_comes_back() {
    let unigram = Pretrained::unigram(stories(), 400).unwrap();
    assert!((300..=400).contains(&unigram.vocab_size()), "{}", unigram.vocab_size());
    for story in stories().lines().take(50) {
        assert_eq!(unigram.decode(&unigram.encode(story)), story);
    }
    assert!(unigram.tokens(stories().lines().next().unwrap())[0].starts_with('▁'));
    assert!(Pretrained::unigram("abcdefghij", 3).is_err());
}
