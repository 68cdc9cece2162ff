use llm_course::data::{Split, TextDataset};
use llm_course::models::{Gpt, GptConfig};
use llm_course::tokenizers::Tokenizer;
use llm_course::train::{TrainConfig, Trainer, evaluate};
use tch::{Device, Kind, Tensor, nn::VarStore};
fn main() {
    let seed: i64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let steps: i64 = std::env::args().nth(2).unwrap().parse().unwrap();
    tch::manual_seed(seed);
    let data = TextDataset::from_file("/work/shared/data/tinyshakespeare.txt").unwrap();
    let ids = Tensor::from_slice(&data.ids(Split::Train));
    let vs = VarStore::new(Device::Cpu);
    let gpt = Gpt::new(&vs.root(), GptConfig::small(data.tokenizer.vocab_size())).unwrap();
    let config = TrainConfig { steps, lr: 1e-3, final_lr: 0.1, warmup: 100, weight_decay: 0.1, betas: (0.9, 0.99), clip: 1.0, validate_every: 500 };
    let n = ids.size()[0];
    let offsets = Tensor::arange(64, (Kind::Int64, Device::Cpu));
    let start = std::time::Instant::now();
    let loss = |_| {
        let at = Tensor::randint(n - 64, [12, 1], (Kind::Int64, Device::Cpu)) + &offsets;
        let x = ids.index_select(0, &at.view([-1])).view([12, 64]);
        let y = ids.index_select(0, &(at + 1).view([-1])).view([12, 64]);
        gpt.loss(&x, &y, true)
    };
    let validation = || {
        println!("{:?}", start.elapsed());
        evaluate(data.streams(Split::Validation, 48, 64).unwrap(), |b| gpt.loss(&b.ids, &b.targets, false)).loss
    };
    Trainer::new(&vs, config).unwrap().fit("GPT", loss, validation).unwrap();
}
