use llm_course::models::Bert;
use llm_course::prelude::*;
fn main() -> llm_course::Result<()> {
    let folder = std::env::args().nth(1).unwrap();
    let vs = nn::VarStore::new(Device::Cpu);
    let start = std::time::Instant::now();
    let bert = Bert::load(&vs, &folder)?;
    println!("{:?} {:?}", bert.config(), start.elapsed());
    let t: std::collections::HashMap<String, Tensor> =
        Tensor::read_safetensors("/tmp/minilm_reference.safetensors")?.into_iter().collect();
    let (ids, mask) = (&t["ids"], &t["mask"]);
    let hidden = no_grad(|| bert.forward(ids, &ids.zeros_like(), mask, false));
    let m = mask.to_kind(Kind::Float).unsqueeze(-1);
    let e = (&hidden * &m).sum_dim_intlist(1, false, Kind::Float) / m.sum_dim_intlist(1, false, Kind::Float);
    println!(
        "embedding {:e} hidden {:e} size {}",
        (&e - &t["embedding"]).abs().max().double_value(&[]),
        ((&hidden - &t["hidden"]) * &m).abs().max().double_value(&[]),
        t["embedding"].abs().max().double_value(&[])
    );
    Ok(())
}
