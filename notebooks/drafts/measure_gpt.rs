use llm_course::layers::Positions;
use llm_course::prelude::*;
use std::time::Instant;
fn arg(name: &str, default: &str) -> String { std::env::var(name).unwrap_or(default.into()) }
fn num(name: &str, default: f64) -> f64 { arg(name, &default.to_string()).parse().unwrap() }
struct Rows { rows: Vec<Vec<i64>> }
fn stories(text: &str, bpe: &dyn Tokenizer) -> Rows {
    let end = bpe.encode("\n")[0];
    let mut rows = Vec::new();
    let prefix = if arg("PREFIX", "0") == "1" { " " } else { "" };
    let text: String = text.split_inclusive('\n').map(|s| format!("{prefix}{s}")).collect();
    let all = bpe.encode(&text);
    for story in all.split_inclusive(|&id| id == end) {
        let mut row = vec![end]; row.extend_from_slice(story); rows.push(row);
    }
    Rows { rows }
}
fn tensors(rows: &[&Vec<i64>], multiple: usize) -> (Tensor, Tensor) {
    let longest = rows.iter().map(|r| r.len() - 1).max().unwrap();
    let longest = longest.div_ceil(multiple) * multiple;
    let (mut ids, mut targets) = (Vec::new(), Vec::new());
    for row in rows {
        let n = row.len() - 1;
        ids.extend_from_slice(&row[..n]); ids.resize(ids.len() + longest - n, 0);
        targets.extend_from_slice(&row[1..]); targets.resize(targets.len() + longest - n, IGNORE);
    }
    let shape = [rows.len() as i64, longest as i64];
    (Tensor::from_slice(&ids).view(shape), Tensor::from_slice(&targets).view(shape))
}
fn main() -> Result<()> {
    let threads = num("THREADS", 1.0) as i32;
    tch::set_num_threads(threads);
    let vocab = num("VOCAB", 2048.0) as i64;
    let chars = num("CHARS", 4e6) as usize;
    let t = Instant::now();
    let data = TextDataset::stories(chars, 100_000, 1)?;
    let t1 = t.elapsed().as_secs_f64();
    let head: String = data.text(Split::Train)[..1_000_000.min(data.text(Split::Train).len())].into();
    let bpe = Bpe::train(&head, vocab)?;
    let t2 = t.elapsed().as_secs_f64();
    let train = stories(data.text(Split::Train), &bpe);
    let valid = stories(data.text(Split::Validation), &bpe);
    let t3 = t.elapsed().as_secs_f64();
    let valid_bytes = data.text(Split::Validation).len() as f64;
    let tokens: usize = train.rows.iter().map(|r| r.len() - 1).sum();
    let longest = valid.rows.iter().chain(&train.rows).map(|r| r.len()).max().unwrap();
    println!("data {t1:.1} bpe {t2:.1} encode {t3:.1}; {} stories, {:.1} tokens per story, longest {longest}, floor {:.4}, ids {}", train.rows.len(), tokens as f64 / train.rows.len() as f64, data.floor.unwrap(), bpe.vocab_size());
    seed(num("SEED", 1.0) as i64);
    let vs = nn::VarStore::new(device());
    let positions = if arg("POS", "learned") == "rotary" { Positions::Rotary } else { Positions::Learned };
    let (d, l, h) = (num("D", 128.0) as i64, num("L", 4.0) as i64, num("H", 4.0) as i64);
    let config = GptConfig { d_model: d, n_layers: l, n_heads: h, d_ff: (num("FF", 4.0) * d as f64) as i64, block_size: 256, positions, ..GptConfig::small(bpe.vocab_size()) };
    let gpt = Gpt::new(&vs.root(), config)?;
    let (im, em) = (num("INIT", 1.0), num("EINIT", 1.0));
    no_grad(|| for (n, w) in vs.variables() { if w.dim() == 2 { let _ = w.shallow_clone().g_mul_scalar_(if n.contains("embedding") { em } else if n.ends_with("out.weight") { im * num("OINIT", 1.0) } else { im }); } });
    no_grad(|| { let _ = vs.variables()["norm.weight"].shallow_clone().g_mul_scalar_(num("GAIN", 1.0)); });
    let lstm = arg("LSTM", "0") == "1";
    let lstm_model = if lstm { Some(CharLm::new(&(vs.root() / "lstm"), CharLmConfig { forget_bias: num("FB", 0.0), n_layers: l, ..CharLmConfig::new(CellKind::Lstm, bpe.vocab_size(), d, num("HID", d as f64) as i64) })) } else { None };
    let parameters: Vec<Tensor> = vs.variables().into_iter().filter(|(n, _)| n.starts_with("lstm") == lstm).map(|(_, t)| t).collect();
    let weights: usize = parameters.iter().map(Tensor::numel).sum();
    let steps = num("STEPS", 1000.0) as i64;
    let batch = num("BATCH", 16.0) as usize;
    let precision = if arg("BF16", "0") == "1" { Precision::Bf16 } else { Precision::F32 };
    let config = TrainConfig { steps, lr: num("LR", 2e-3), final_lr: num("FINAL", 0.02), warmup: num("WARM", 100.0) as i64, weight_decay: num("WD", 0.1), betas: (0.9, num("B2", 0.99)), ..Default::default() };
    let mut optimizer = AdamW::new(parameters, config.betas, config.weight_decay)?;
    let loss_of = |ids: &Tensor, targets: &Tensor, train: bool| match &lstm_model {
        None => gpt.loss(ids, targets, train),
        Some(m) => { let (logits, _) = m.forward(ids, &m.zero_state(ids.size()[0]));
            logits.flatten(0, 1).cross_entropy_loss::<Tensor>(&targets.flatten(0, 1), None, tch::Reduction::Mean, IGNORE, 0.0) }
    };
    let validate = |rows: usize| no_grad(|| {
        let mut order: Vec<&Vec<i64>> = valid.rows.iter().collect();
        order.sort_by_key(|r| r.len());
        let mut nats = 0.0;
        for part in order.chunks(32).take(rows) {
            let (ids, targets) = tensors(part, 1);
            let n = targets.ne(IGNORE).sum(Kind::Int64).double_value(&[]);
            nats += loss_of(&ids, &targets, false).double_value(&[]) * n;
        }
        bits(nats / valid_bytes)
    });
    // bucketed order
    use rand::{SeedableRng, seq::SliceRandom};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(num("SEED", 1.0) as u64);
    let mut queue: Vec<Vec<usize>> = Vec::new();
    let mut order: Vec<usize> = Vec::new();
    let (mut spent, floor) = (0.0, data.floor.unwrap());
    let mut real = 0usize; let mut computed = 0usize;
    for step in 0..steps {
        let s = Instant::now();
        if queue.is_empty() {
            let window = batch * 16;
            if order.len() < window { order = (0..train.rows.len()).collect(); order.shuffle(&mut rng); }
            let mut part = order.split_off(order.len() - window);
            part.sort_by_key(|&i| train.rows[i].len());
            queue = part.chunks(batch).map(|c| c.to_vec()).collect();
            queue.shuffle(&mut rng);
        }
        let rows: Vec<&Vec<i64>> = queue.pop().unwrap().into_iter().map(|i| &train.rows[i]).collect();
        let cut = num("CUT", 60.0) as usize;
        let doubled: Vec<Vec<i64>> = if step < num("DUP", 0.0) as i64 { rows.iter().map(|r| { let a = &r[..cut.min(r.len())]; [a, a].concat() }).collect() } else { rows.iter().map(|r| (*r).clone()).collect() };
        let rows: Vec<&Vec<i64>> = doubled.iter().collect();
        let (ids, targets) = tensors(&rows, num("MULT", 1.0) as usize);
        real += rows.iter().map(|r| r.len() - 1).sum::<usize>(); computed += ids.numel();
        let loss = precision.run(device(), || loss_of(&ids, &targets, true));
        loss.backward();
        clip_grad_norm(optimizer.parameters(), config.clip);
        optimizer.step(config.lr_at(step));
        spent += s.elapsed().as_secs_f64();
        if (step + 1) % (steps / 10) == 0 || step + 1 == steps {
            let v = validate(1000);
            println!("step {} {:.1} s {:.1} ms/step train {:.3} val {v:.4} bpb = {:+.1} % of floor; waste {:.3}, {:.0} tok/s", step + 1, spent, 1000.0 * spent / (step + 1) as f64, loss.double_value(&[]), 100.0 * (v / floor - 1.0), 1.0 - real as f64 / computed as f64, real as f64 / spent);
        }
    }
    println!("weights {weights}");
    // where the excess lies
    let grammar = Grammar::stories();
    let vt = data.text(Split::Validation);
    let each = grammar.char_log_probs(vt)?;
    let mut at = 0;
    let mut worst: Vec<(f64, String, String)> = Vec::new();
    let (mut certain, mut other) = ((0.0, 0.0), (0.0, 0.0));
    let mut kinds: std::collections::BTreeMap<String, (f64, f64, f64)> = Default::default();
    no_grad(|| for row in &valid.rows {
        let (ids, targets) = tensors(&[row], 1);
        let lp = match &lstm_model { None => gpt.forward(&ids, false), Some(m) => m.forward(&ids, &m.zero_state(1)).0 }.log_softmax(-1, Kind::Float).gather(-1, &targets.unsqueeze(-1), false).flatten(0, -1);
        let lp = Vec::<f64>::try_from(lp.to_kind(Kind::Double)).unwrap();
        for (i, &id) in row[1..].iter().enumerate() {
            let tok = bpe.token(id);
            let n = tok.len() - usize::from(i == 0 && arg("PREFIX", "0") == "1");
            let f: f64 = -each[at..at + n].iter().sum::<f64>() / std::f64::consts::LN_2;
            at += n;
            let m = -lp[i] / std::f64::consts::LN_2;
            if f < 0.05 { certain.0 += f; certain.1 += m; } else { other.0 += f; other.1 += m; }
            let k = format!("{} {}", if f < 0.05 {"sure"} else {"open"}, if tok.trim().chars().next().is_some_and(|c| c.is_uppercase()) { "Capital" } else if tok.trim().chars().all(|c| c.is_ascii_digit()) && !tok.trim().is_empty() { "digit" } else if tok.trim().chars().all(|c| c.is_alphabetic()) { "word" } else { "other" });
            if k == "sure Capital" && m > 1.0 { worst.push((m, bpe.decode(&row[1..1 + i]), tok.clone())); }
            let e = kinds.entry(k).or_default(); e.0 += f; e.1 += m; e.2 += 1.0;
        }
    });
    let bytes = vt.len() as f64;
    println!("{} sure capitals above 1 bit, {:.4} bits per byte", worst.len(), worst.iter().map(|w| w.0).sum::<f64>() / bytes);
    for (m, before, tok) in worst.iter().step_by((worst.len() / 5).max(1)) { println!("  {m:.1} bits: {} >>>{tok}", &before[before.len().saturating_sub(400)..]); }
    println!("certain: floor {:.4} model {:.4}; open: floor {:.4} model {:.4} bits per byte", certain.0 / bytes, certain.1 / bytes, other.0 / bytes, other.1 / bytes);
    for (k, (f, m, n)) in kinds { println!("   {k:14} n {n:6} floor {:.4} model {:.4} excess {:.4}", f / bytes, m / bytes, (m - f) / bytes); }
    Ok(())
}
