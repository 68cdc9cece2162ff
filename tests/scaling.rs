//! An exported GPT is trained further on two processes by `scaling/pretrain.py`, and comes back.
//!
//! Needs a Python with torch and transformers (`cargo course setup --peers`); without one it says so and passes.

use std::path::Path;
use std::process::Command;

use llm_course::data::{Split, TextDataset};
use llm_course::layers::Positions;
use llm_course::models::{Gpt, GptConfig};
use llm_course::tokenizers::{Bpe, Tokenizer};
use tch::{Device, Tensor, nn::VarStore, no_grad};

mod compare;
use compare::scratch;

/// Mean loss in nats on the first windows of fresh text.
fn loss(folder: &Path, ids: &[i64]) -> llm_course::Result<f64> {
    let vs = VarStore::new(Device::Cpu);
    let gpt = Gpt::load(&vs, folder)?;
    let rows = Tensor::from_slice(ids).unfold(0, 65, 64).narrow(0, 0, 40);
    Ok(no_grad(|| gpt.loss(&rows.narrow(1, 0, 64), &rows.narrow(1, 1, 64), false)).double_value(&[]))
}

#[test]
fn two_processes_train_an_export_further() -> Result<(), Box<dyn std::error::Error>> {
    let Some(python) = std::env::var_os("LLM_COURSE_PEERS_PYTHON") else {
        println!("skipped: `cargo course setup --peers` installs torch and transformers");
        return Ok(());
    };
    let folder = scratch("scaling");
    let (exported, text, trained) = (folder.join("gpt"), folder.join("text.txt"), folder.join("trained"));
    let stories = TextDataset::stories(200_000, 20_000, 1)?;
    std::fs::write(&text, stories.text(Split::Train))?;
    let bpe = Bpe::train(stories.text(Split::Train), 400)?;
    let config = GptConfig {
        d_model: 64,
        d_ff: 256,
        n_layers: 2,
        block_size: 64,
        ..GptConfig::small(bpe.vocab_size())
    };
    tch::manual_seed(1);
    let vs = VarStore::new(Device::Cpu);
    Gpt::new(&vs.root(), GptConfig { positions: Positions::Rotary, ..config })?.save(&vs, &exported)?;
    bpe.save(exported.join("tokenizer.json"))?;
    let run = |processes: &str, out: &Path, batch: &str| {
        let mut command = Command::new(&python);
        if cfg!(target_os = "linux") {
            command.env("GLOO_SOCKET_IFNAME", "lo");
        }
        command.args(["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes]);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scaling/pretrain.py"));
        command.arg("--model").arg(&exported).arg("--text").arg(&text).arg("--out").arg(out);
        let output = command
            .args(["--steps", "60", "--batch", batch, "--lr", "3e-3"])
            .output()
            .expect("Python starts");
        (
            output.status.success(),
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    };
    let (good, said) = run("2", &trained, "16");
    assert!(good, "{said}");
    let fresh = bpe.encode(stories.text(Split::Validation));
    let (before, after) = (loss(&exported, &fresh)?, loss(&trained, &fresh)?);
    println!("{said}before {before:.3}, after {after:.3} nats per token");
    assert!(after < before - 1.0, "before {before}, after {after}");

    let (good, said) = run("2", &trained, "16");
    assert!(!good && said.contains("is there already"), "{said}");
    let (good, said) = run("2", &folder.join("odd"), "3");
    assert!(!good && said.contains("cannot be divided among 2 processes"), "{said}");
    assert!(!folder.join("odd").exists());
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
