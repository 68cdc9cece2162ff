//! scratch
use llm_course::data::{MaskedDataset, Corruption, MaskedBatch};
use llm_course::models::BertHeads;
use llm_course::prelude::*;
use std::time::Instant; use llm_course::tch::nn::OptimizerConfig;

fn arg(name: &str, default: f64) -> f64 {
    std::env::args().find_map(|a| a.strip_prefix(&format!("{name}=")).map(|v| v.parse().unwrap())).unwrap_or(default)
}
fn sentences(story: &str) -> Vec<String> { story.split_inclusive(". ").map(|s| s.trim().to_string()).collect() }
fn silhouette(p: &[[f64; 2]], l: &[usize]) -> f64 {
    let d = |a: &[f64; 2], b: &[f64; 2]| ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt();
    let n = p.len();
    (0..n).map(|i| {
        let mean = |c: usize| { let v: Vec<f64> = (0..n).filter(|&j| j != i && l[j] == c).map(|j| d(&p[i], &p[j])).collect(); v.iter().sum::<f64>() / v.len() as f64 };
        let (a, b) = (mean(l[i]), mean(1 - l[i]));
        (b - a) / a.max(b)
    }).sum::<f64>() / n as f64
}
fn pca(x: &Tensor) -> Vec<[f64; 2]> {
    let x = x.to_kind(Kind::Double); let c = &x - x.mean_dim(0, true, None::<Kind>);
    let (_, _, v) = c.svd(true, true);
    let p = c.matmul(&v.narrow(1, 0, 2));
    let p: Vec<Vec<f64>> = Vec::<Vec<f64>>::try_from(p).unwrap();
    p.iter().map(|r| [r[0], r[1]]).collect()
}
fn main() -> Result<()> {
    tch::set_num_threads(1);
    let sd = arg("seed", 1.0) as i64;
    let t0 = Instant::now();
    let chars = arg("chars", 1.5e6) as usize;
    let text = Grammar::stories().text(chars, 1);
    let held = Grammar::stories().text(arg("held", 300_000.0) as usize, 1001);
    let reviews = ReviewDataset::reviews(arg("reviews", 13000.0) as usize, 1000, 1)?;
    let unl = arg("unl", 8000.0) as usize;
    println!("data {:.1} s", t0.elapsed().as_secs_f64());
    let rt: String = reviews.train[..unl].iter().map(|r| r.text.clone() + "\n").collect();
    let vocab = arg("vocab", 4000.0) as i64;
    let tok = WordPiece::train(&format!("{text}{rt}"), vocab)?;
    println!("tok {} {:.1} s", tok.vocab_size(), t0.elapsed().as_secs_f64());
    let enc = |t: &str| tok.encode(t);
    let paras = |t: &str| -> Vec<Vec<Vec<i64>>> { t.lines().map(|s| sentences(s).iter().map(|s| enc(s)).collect()).collect() };
    for s in sentences(text.lines().next().unwrap()) { println!("  | {s}"); }
    let block = arg("block", 64.0) as i64;
    let cor = Corruption::new(tok.vocab_size());
    let (tp, hp) = (paras(&text), paras(&held));
    println!("stories {} sentences {} tokens {}", tp.len(), tp.iter().map(|p| p.len()).sum::<usize>(), tp.iter().flatten().map(|p| p.len()).sum::<usize>());
    let tcor = Corruption { share: arg("share", 0.15), ..cor };
    let train = MaskedDataset::from_paragraphs(&tp, block, tcor)?;
    let valid = MaskedDataset::from_paragraphs(&hp, block, cor)?;
    let rtrain = MaskedDataset::from_sequences(reviews.train[..unl].iter().map(|r| enc(&r.text)).collect(), block, tcor)?;
    let halves = |r: &str| -> Vec<Vec<i64>> { let e = enc(r); let cuts: Vec<i64> = [":", ".", ",", "but"].iter().map(|w| tok.encode(w)[0]).collect();
        let mid = e.len() / 2; let best = (1..e.len().saturating_sub(2)).filter(|&i| cuts.contains(&e[i])).min_by_key(|&i| (i as i64 - mid as i64).abs());
        match best { Some(i) => vec![e[..=i].to_vec(), e[i + 1..].to_vec()], None => vec![] } };
    let hv: Vec<Vec<Vec<i64>>> = reviews.train[..unl].iter().map(|r| halves(&r.text)).filter(|p| p.len() == 2).collect();
    println!("{} reviews in halves", hv.len());
    let hdata = MaskedDataset::from_paragraphs(&hv, block, tcor)?;
    let hvv: Vec<Vec<Vec<i64>>> = reviews.validation.iter().map(|r| halves(&r.text)).filter(|p| p.len() == 2).collect();
    let hvalid = MaskedDataset::from_paragraphs(&hvv, block, cor)?;
    let rvalid = MaskedDataset::from_sequences(reviews.validation.iter().map(|r| enc(&r.text)).collect(), block, cor)?;
    let lens: Vec<usize> = reviews.train.iter().map(|r| enc(&r.text).len()).collect();
    println!("review tokens mean {:.1} max {}", lens.iter().sum::<usize>() as f64 / lens.len() as f64, lens.iter().max().unwrap());
    println!("encoded {:.1} s; rows {} ", t0.elapsed().as_secs_f64(), train.rows());
    let d = arg("d", 64.0) as i64;
    let cfg = BertConfig { d_model: d, d_ff: 4 * d, n_layers: arg("layers", 2.0) as i64, n_heads: arg("heads", 4.0) as i64, dropout: arg("drop", 0.0), block_size: block, heads: BertHeads::ALL, ..BertConfig::tiny(tok.vocab_size()) };
    seed(sd);
    let mut vs = nn::VarStore::new(Device::Cpu);
    let bert = Bert::new(&vs.root(), cfg)?;
    let steps = arg("steps", 1000.0) as i64;
    no_grad(|| for (name, mut t) in vs.variables() {
        if name == "words.bias" && arg("bias", 0.0) > 0.0 {
            let mut c = vec![1.0f64; vocab as usize];
            for id in tp.iter().flatten().flatten() { c[*id as usize] += 1.0; }
            for r in &reviews.train[..unl] { for id in enc(&r.text) { c[id as usize] += 1.0; } }
            let n: f64 = c.iter().sum();
            t.copy_(&Tensor::from_slice(&c.iter().map(|x| (x / n).ln() as f32).collect::<Vec<_>>()));
        }
        let f = if name.starts_with("embeddings") { arg("emb", 1.0) } else if name.starts_with("layers") { arg("init", 1.0) } else { 1.0 };
        if t.size().len() == 2 { let _ = t.g_mul_scalar_(f); }
        if arg("sin", 0.0) > 0.0 && name == "embeddings.positions.weight" {
            let (time, dm) = t.size2().unwrap();
            let o = (Kind::Float, Device::Cpu);
            let slower = (Tensor::arange(dm / 2, o) * (-2.0 / dm as f64 * arg("base_", 10000.0).ln())).exp();
            let an = Tensor::arange(time, o).outer(&slower);
            t.copy_(&(Tensor::cat(&[an.sin(), an.cos()], -1) * (arg("sin", 1.0) * 0.02 * arg("emb", 1.0))));
        }
    });
    let file = format!("w08/{}.ot", std::env::args().find_map(|a| a.strip_prefix("name=").map(String::from)).unwrap_or("x".into()));
    if arg("load", 0.0) > 0.0 { vs.load(&file)?; } else {
    let tc = TrainConfig { steps, lr: arg("lr", 2e-3), final_lr: 0.05, warmup: steps / 10, ..Default::default() };
    let mut opt = AdamW::new(vs.trainable_variables(), tc.betas, tc.weight_decay)?;
    let (bs, br) = (arg("bs", 16.0) as i64, arg("br", 16.0) as i64);
    let mut a = train.batches(bs.max(1), sd as u64)?.endless();
    let mut b = rtrain.batches(br, sd as u64)?.endless();
    let t1 = Instant::now();
    let eval = |bert: &Bert, data: &MaskedDataset, n: usize| {
        let (mut p, mut t, mut nsp, mut nn_) = (vec![], vec![], 0.0, 0);
        for batch in data.batches(64, 1).unwrap().take(n) {
            let (pp, tt) = bert.predict_words(&batch);
            p.extend(pp); t.extend(tt);
            no_grad(|| { let h = bert.forward(&batch.ids, &batch.segments, &batch.mask, false);
            let g = bert.next_logits(&bert.pooled(&h)).argmax(-1, false);
            nsp += g.eq_tensor(&batch.next).sum(Kind::Double).double_value(&[]); nn_ += batch.next.size()[0]; });
        }
        (accuracy(&p, &t), nsp / nn_ as f64)
    };
    let wn = arg("nsp", 1.0);
    let plus: Vec<i64> = "good great excellent wonderful lovely pleasant perfect impressive fantastic charming decent brilliant superb delightful remarkable outstanding splendid satisfying marvellous beautiful fine special thrilling inspired amazing".split(' ').filter(|w| enc(w).len() == 1).map(|w| enc(w)[0]).collect();
    let minus: Vec<i64> = "bad terrible disappointing poor awful boring weak horrible annoying mediocre dull unpleasant dreadful cheap ugly tedious careless useless lousy pathetic tiresome clumsy ordinary dismal miserable".split(' ').filter(|w| enc(w).len() == 1).map(|w| enc(w)[0]).collect();
    let polar = |bert: &Bert| -> f64 {
        let (mut ok, mut n) = (0.0, 0.0);
        let (pi, mi) = (Tensor::from_slice(&plus), Tensor::from_slice(&minus));
        let rows: Vec<(Vec<i64>, usize)> = reviews.validation.iter().take(400).filter_map(|r| { let mut e = vec![2]; e.extend(enc(&r.text)); e.push(3); let at = e.iter().position(|x| plus.contains(x) || minus.contains(x))?; Some((e, at)) }).collect();
        for (e, at) in rows { let good = plus.contains(&e[at]); let mut e = e.clone(); e[at] = 4; let ids = Tensor::from_slice(&e).unsqueeze(0);
            no_grad(|| { let h = bert.forward(&ids, &ids.zeros_like(), &ids.ne(0), false); let p = bert.word_logits(&h.get(0).get(at as i64)).softmax(-1, Kind::Double);
            let d = p.index_select(0, &pi).sum(Kind::Double).double_value(&[]) - p.index_select(0, &mi).sum(Kind::Double).double_value(&[]);
            if (d > 0.0) == good { ok += 1.0 } n += 1.0; }); }
        ok / n
    };
    let bh = arg("bh", 0.0) as i64;
    let mut hb = hdata.batches(bh.max(1), sd as u64)?.endless();
    for step in 0..steps {
        let mut loss = Tensor::from(0f32);
        if bs > 0 { let x = a.next().unwrap();
        let h = bert.forward(&x.ids, &x.segments, &x.mask, true);
        loss = loss + bert.word_loss(&h, &x.targets);
        if wn > 0.0 { loss = loss + wn * bert.next_loss(&h, &x.next); } }
        if br > 0 { let y: MaskedBatch = b.next().unwrap();
        let h = bert.forward(&y.ids, &y.segments, &y.mask, true);
        loss = loss + arg("wr", 1.0) * bert.word_loss(&h, &y.targets); }
        if bh > 0 { let y: MaskedBatch = hb.next().unwrap(); let h = bert.forward(&y.ids, &y.segments, &y.mask, true); loss = loss + bert.word_loss(&h, &y.targets) + wn * bert.next_loss(&h, &y.next); }
        loss.backward();
        clip_grad_norm(opt.parameters(), 1.0);
        opt.step(tc.lr_at(step));
        if (step + 1) % (steps / arg("ev", 5.0) as i64) == 0 {
            let s = t1.elapsed().as_secs_f64();
            let (w, n) = eval(&bert, &valid, 10); let (r, _) = eval(&bert, &rvalid, 8);
            let (_, hn) = eval(&bert, &hvalid, 8);
            println!("step {} {:.1}s loss {:.3}: stories {:.3} nsp {:.3} reviews {:.3} halves {:.3} polar {:.3}", step + 1, s, loss.double_value(&[]), w, n, r, hn, polar(&bert));
        }
    }
    vs.save(&file)?;
    let (w, n) = eval(&bert, &valid, 100); let (r, _) = eval(&bert, &rvalid, 100);
    println!("END stories {w:.4} nsp {n:.4} reviews {r:.4}");
    }
    // baselines
    if arg("base", 0.0) > 0.0 {
        let mut all: Vec<i64> = vec![]; for p in &tp { for s in p { all.extend(s); all.push(3); } } for r in &reviews.train[..unl] { all.push(2); all.extend(enc(&r.text)); all.push(3); }
        let rev: Vec<i64> = all.iter().rev().copied().collect();
        let k = arg("base", 2.0) as usize;
        let (f, g, u) = (NGram::fit(k, &all, vocab)?, NGram::fit(k, &rev, vocab)?, NGram::fit(1, &all, vocab)?.probabilities(&[]));
        let t = Instant::now();
        for (name, data) in [("stories", &valid), ("reviews", &rvalid)] {
            let (mut ok, mut uni, mut n) = (0, 0, 0);
            let umax = (0..vocab as usize).max_by(|&a, &b| u[a].total_cmp(&u[b])).unwrap() as i64;
            for batch in data.batches(64, 1)?.take(6) {
                let ids: Vec<Vec<i64>> = Vec::try_from(&batch.ids).unwrap(); let ts: Vec<Vec<i64>> = Vec::try_from(&batch.targets).unwrap();
                for (row, tr) in ids.iter().zip(&ts) { for i in 0..row.len() { if tr[i] >= 0 {
                    let left = &row[..i]; let right: Vec<i64> = row[i + 1..].iter().rev().copied().collect();
                    let (pl, pr) = (f.probabilities(left), g.probabilities(&right));
                    let p = &pl * &pr / &u;
                    let best = (0..vocab as usize).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap() as i64;
                    n += 1; if best == tr[i] { ok += 1 } if umax == tr[i] { uni += 1 }
                } } }
            }
            println!("{name}: bi {k}-gram {:.3} unigram {:.3} of {n} {:.1}s", ok as f64 / n as f64, uni as f64 / n as f64, t.elapsed().as_secs_f64());
        }
    }
    // senses
    let senses: [(&str, [&str; 2]); 5] = [("match", ["football match", "struck|lit|took"]), ("bank", ["to the bank", "on the bank of"]), ("bat", ["played cricket", "bats"]), ("spring", ["In spring, when", "steel spring"]), ("bark", ["'s dog", "Its bark was"])];
    for (word, keys) in senses {
        let id = tok.encode(word);
        if id.len() != 1 { println!("{word}: {:?}", tok.tokens(word)); continue; }
        let (mut rows, mut labels) = (vec![], vec![]);
        for story in held.lines() {
            let has = |k: &str| story.contains(k);
            let l = if has(keys[0]) { 0 } else { 1 };
            let ss = sentences(story);
            for (k, s) in ss.iter().enumerate() { let e = enc(s); if let Some(at) = e.iter().position(|&x| x == id[0]) {
                let (a, b, p) = if k > 0 { let a = enc(&ss[k - 1]); let p = a.len() + 2 + at; (a, e, p) } else { (e, enc(ss.get(1).map_or("", |s| s)), at + 1) };
                let ids = [&[2], &a[..], &[3], &b[..], &[3]].concat();
                if ids.len() > block as usize { continue }
                let seg: Vec<i64> = (0..ids.len()).map(|i| i64::from(i > a.len() + 1)).collect();
                rows.push((ids, seg, p)); labels.push(l); } }
        }
        print!("{word} {} {}: ", labels.len(), labels.iter().filter(|&&l| l == 0).count());
        let mut per: Vec<Vec<Tensor>> = (0..=cfg.n_layers).map(|_| vec![]).collect();
        for (ids, seg, at) in &rows { let ids = Tensor::from_slice(ids).unsqueeze(0); let seg = Tensor::from_slice(seg).unsqueeze(0);
            let tr = no_grad(|| bert.trace(&ids, &seg, &ids.ne(0)));
            for (k, h) in tr.hidden.iter().enumerate() { per[k].push(h.get(0).get(*at as i64)); } }
        for p in per.iter() { if p.len()==labels.len() { print!("{:.2} ", silhouette(&pca(&Tensor::stack(p, 0)), &labels)); } }
        if !rows.is_empty() { println!(" {:.1}s", t0.elapsed().as_secs_f64()); }
    }
    // fill
    let names = ["ada","adam","bella","ben","caleb","clara","daisy","david","emma","felix","george","grace","harry","kate","lily","max","nora","peter","rosa","sam","sophie","tom"];
    let she = ["ada","bella","clara","daisy","emma","grace","kate","lily","nora","rosa","sophie"];
    let fill = |s: &str| -> Vec<(String, f64)> { let mut ids = vec![2]; for half in s.split('|') { for (i, part) in half.split('_').enumerate() { if i > 0 { ids.push(4) } ids.extend(enc(part)); } ids.push(3); }
        let at = ids.iter().position(|&x| x == 4).unwrap() as i64; let ids = Tensor::from_slice(&ids).unsqueeze(0);
        let seg = if let Some(k) = Vec::<i64>::try_from(ids.get(0)).unwrap().iter().position(|&x| x == 3) { Tensor::arange(ids.size()[1], (Kind::Int64, Device::Cpu)).gt(k as i64).to_kind(Kind::Int64).unsqueeze(0) } else { ids.zeros_like() };
        no_grad(|| { let h = bert.forward(&ids, &seg, &ids.ne(0), false); let p = bert.word_logits(&h.get(0).get(at)).softmax(-1, Kind::Double);
            let (v, i) = p.topk(4, 0, true, true); (0..4).map(|k| (tok.token(i.int64_value(&[k])), v.double_value(&[k]))).collect() }) };
    let mut ok = 0; for n in names { for w in ["boots", "hats", "socks"] { let f = fill(&format!("At 7:13 {n} found a red ball.|One sly king ran by, and _ put on old {w}.")); let want = if she.contains(&n) { "she" } else { "he" }; if f[0].0 == want { ok += 1 } } }
    println!("his/her {ok} of {}", names.len() * 3);
    let cries = [("calf","mooed"),("canary","chirped"),("cat","mewed"),("cow","mooed"),("crow","cawed"),("dog","barked"),("donkey","brayed"),("duck","quacked"),("frog","croaked"),("goat","bleated"),("goose","honked"),("hen","clucked"),("kitten","purred"),("lamb","bleated"),("mouse","squeaked"),("owl","hooted"),("parrot","squawked"),("pig","grunted"),("pigeon","cooed"),("pony","neighed"),("puppy","yapped"),("rooster","crowed")];
    let ok = cries.iter().filter(|(a, c)| fill(&format!("after supper something _ in the attic.|it was scamp. the {a} was happy."))[0].0 == *c).count(); println!("cries {ok} of 22");
    for s in ["last week ben found a ball.|behind the inn he saw _ odd wolf, a sly king and 23 wooden spoons.", "last week ben found a ball.|behind the inn he saw _ sly wolf, a sly king and 23 wooden spoons.", "one hot day ben and ada sat on the _ of the river and fished.|they counted six swans.", "ben sat in the dark, for the lamp had gone out.|he struck a _, and its small flame showed a red ball under the bed.", "one hot day ben and ada sat on the bank of the _ and fished.|they counted six swans.", "the soup _ good.", "the portions _ good.", "the soup was _, but it was worth the money.", "the soup was _, but i left with a headache.", "the soup was _: it melted on the tongue.", "the dessert was _: it stuck to the teeth.", "it could not have been _: the soup was good.", "he paid 23 pounds for six spoons.|\"a sly king never counts wooden spoons,\" his sad mother always _.", "ben had a cat called scamp.|one day scamp was gone. _ looked in the hall.", "ada had a cat called scamp.|one day scamp was gone. _ looked in the hall.","ben sat in the dark.|he struck a match. _ ate bread."] { println!("{s}: {:?}", fill(s)); }
    println!("{:.1} s", t0.elapsed().as_secs_f64());
    if arg("ft", 0.0) == 0.0 { return Ok(()); }
    // fine-tuning
    let test: Vec<(Vec<i64>, i64)> = reviews.validation.iter().map(|r| (enc(&r.text), r.label)).collect();
    let hand: Vec<(Vec<i64>, i64)> = reviews.test.iter().map(|r| (enc(&r.text), r.label)).collect();
    let wrap = |v: &[(Vec<i64>, i64)]| -> Vec<(Vec<i64>, i64)> { v.iter().map(|(e, l)| { let mut x = vec![2]; x.extend(e.iter().take(block as usize - 2)); x.push(3); (x, *l) }).collect() };
    let score = |m: &Cl, data: &[(Vec<i64>, i64)], mean: bool| -> f64 { no_grad(|| { let mut ok = 0.0; for b in ReviewBatches::new(wrap(data), 100, 0, 1).unwrap() { ok += logits(m, &b.ids, &b.mask, false, mean).argmax(-1, false).eq_tensor(&b.labels).sum(Kind::Double).double_value(&[]); } ok / data.len() as f64 }) };
    let meanp = arg("mean", 1.0) > 0.0;
    for n in [10usize, 30, 100, 300, 1000] {
        for pre in [true, false] {
            let t = Instant::now();
            let mut accs = vec![]; let mut hands = vec![];
            for s in 0..(arg("ft", 2.0) as usize) {
                seed(s as i64 + 1);
                let mut v2 = nn::VarStore::new(Device::Cpu);
                let b2 = Bert::new(&v2.root(), BertConfig { dropout: arg("fdrop", 0.0), ..cfg })?;
                if pre { v2.copy(&vs)?; }
                let m = Cl { bert: b2, head: nn::linear(v2.root() / "cl", d, 2, Default::default()) };
                let pool = &reviews.train[unl + s * 1000..unl + s * 1000 + 1000];
                let half = n / 2;
                let data: Vec<(Vec<i64>, i64)> = [0, 1].iter().flat_map(|&l| pool.iter().filter(move |r| r.label == l).take(half)).map(|r| (enc(&r.text), r.label)).collect();
                let fs = (arg("fa", 40.0) + arg("fb", 0.12) * n as f64) as i64;
                let tc = TrainConfig { steps: fs, lr: if pre { arg("flr", 1e-3) } else { arg("slr", 1e-3) }, final_lr: 0.05, warmup: fs / 10 + 1, ..Default::default() };
                let mut opt = AdamW::new(v2.trainable_variables(), tc.betas, 0.01)?;
                let mut bt = ReviewBatches::new(wrap(&data), (arg("fbs", 16.0) as i64).min(n as i64), 0, s as u64)?.endless();
                for step in 0..fs { let b = bt.next().unwrap(); let l = logits(&m, &b.ids, &b.mask, true, meanp).cross_entropy_for_logits(&b.labels); l.backward(); clip_grad_norm(opt.parameters(), 1.0); opt.step(tc.lr_at(step)); }
                accs.push(score(&m, &test, meanp)); hands.push(score(&m, &hand, meanp));
            }
            println!("{n} pre {pre}: {:.3?} mean {:.3} hand {:.3} {:.1}s", accs, accs.iter().sum::<f64>() / accs.len() as f64, hands.iter().sum::<f64>() / hands.len() as f64, t.elapsed().as_secs_f64());
        }
        // bow
        let mut accs = vec![];
        let t = Instant::now();
        for s in 0..(arg("ft", 2.0) as usize) {
            let pool = &reviews.train[unl + s * 1000..unl + s * 1000 + 1000];
            let data: Vec<(Vec<i64>, i64)> = [0, 1].iter().flat_map(|&l| pool.iter().filter(move |r| r.label == l).take(n / 2)).map(|r| (enc(&r.text), r.label)).collect();
            let bag = |v: &[(Vec<i64>, i64)]| { let x = Tensor::zeros([v.len() as i64, vocab], (Kind::Float, Device::Cpu)); for (i, (e, _)) in v.iter().enumerate() { for &w in e { let _ = x.get(i as i64).get(w).fill_(1.0); } } (x, Tensor::from_slice(&v.iter().map(|p| p.1).collect::<Vec<_>>())) };
            let (x, y) = bag(&data); let (tx, ty) = bag(&test);
            let v = nn::VarStore::new(Device::Cpu); let lin = nn::linear(v.root(), vocab, 2, nn::LinearConfig { ws_init: nn::Init::Const(0.0), ..Default::default() });
            let mut opt = nn::adam(0.0, 0.0, 0.0).build(&v, 0.02)?;
            for _ in 0..150 { let l = x.apply(&lin).cross_entropy_for_logits(&y) + arg("l2", 1e-3) * lin.ws.square().sum(Kind::Float); opt.backward_step(&l); }
            accs.push(tx.apply(&lin).argmax(-1, false).eq_tensor(&ty).to_kind(Kind::Double).mean(None::<Kind>).double_value(&[]));
        }
        println!("{n} bow {:.3?} mean {:.3} {:.1}s", accs, accs.iter().sum::<f64>() / accs.len() as f64, t.elapsed().as_secs_f64());
    }
    Ok(())
}
struct Cl { bert: Bert, head: nn::Linear }
fn logits(m: &Cl, ids: &Tensor, mask: &Tensor, train: bool, mean: bool) -> Tensor {
    let h = m.bert.forward(ids, &ids.zeros_like(), mask, train);
    let x = if mean { let w = mask.to_kind(Kind::Float).unsqueeze(-1); (h * &w).sum_dim_intlist(1, false, Kind::Float) / w.sum_dim_intlist(1, false, Kind::Float) } else { m.bert.pooled(&h) };
    x.apply(&m.head)
}
