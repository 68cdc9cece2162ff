"""Continues the pretraining of an exported GPT on several processes: PyTorch's data parallelism.

    torchrun --nproc-per-node 4 scaling/pretrain.py --model FOLDER --text FILE --out NEW_FOLDER

FOLDER holds what `Gpt::save` and `Bpe::save` write: config.json, model.safetensors, tokenizer.json. NEW_FOLDER gets
the same files with the new weights; `Gpt::load` reads them. Each process draws other windows of the text, computes
the gradient of its part of the batch, and DistributedDataParallel averages the gradients. On cards it uses NCCL,
without one gloo on the processor. Needs torch, transformers and safetensors (`cargo course setup --peers`).
"""

import argparse
import os
import shutil
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast


def arguments():
    parser = argparse.ArgumentParser(description="Continues the pretraining of an exported GPT on several processes.")
    parser.add_argument("--model", type=Path, required=True, help="folder of the exported model and its tokenizer")
    parser.add_argument("--text", type=Path, required=True, help="UTF-8 text to learn from")
    parser.add_argument("--out", type=Path, required=True, help="folder for the trained model, not there yet")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=32, help="windows in a step, over all processes")
    parser.add_argument("--lr", type=float, default=3e-4)
    return parser.parse_args()


def read(folder, text):
    """The text's ids."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    ids = tokenizer(text.read_text(encoding="utf-8"), add_special_tokens=False, verbose=False)["input_ids"]
    return torch.tensor(ids)


def train(args, device):
    rank, processes = dist.get_rank(), dist.get_world_size()
    if args.batch % processes:
        raise SystemExit(f"--batch {args.batch} cannot be divided among {processes} processes")
    gpt = AutoModelForCausalLM.from_pretrained(args.model).to(device)
    ids, length = read(args.model, args.text), gpt.config.max_position_embeddings
    if len(ids) <= length:
        raise SystemExit(f"{args.text} has {len(ids)} tokens; one window needs {length + 1}")
    model = DistributedDataParallel(gpt)
    optimizer = torch.optim.AdamW(gpt.parameters(), lr=args.lr, betas=(0.9, 0.99), weight_decay=0.1)
    generator = torch.Generator().manual_seed(1000 + rank)  # each process reads other windows
    for step in range(args.steps):
        starts = torch.randint(len(ids) - length, (args.batch // processes,), generator=generator)
        windows = torch.stack([ids[start : start + length] for start in starts]).to(device)
        loss = model(input_ids=windows, labels=windows).loss  # transformers shifts the labels by one
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(gpt.parameters(), 1.0)
        optimizer.step()
        if rank == 0 and (step + 1) % max(1, args.steps // 10) == 0:
            print(f"step {step + 1}: {loss.item():.3f} nats per token (this process's part)", flush=True)
    if rank == 0:
        save(gpt, args)


def save(gpt, args):
    """Writes beside the new folder first, so that it is there whole or not at all."""
    beside = args.out.with_name(f".{args.out.name}.part")
    gpt.save_pretrained(beside)
    shutil.copy(args.model / "tokenizer.json", beside)
    beside.rename(args.out)


def main():
    args = arguments()
    if args.out.exists():
        raise SystemExit(f"{args.out} is there already: name another folder")
    cuda = torch.cuda.is_available()
    dist.init_process_group("nccl" if cuda else "gloo")
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    train(args, "cuda" if cuda else "cpu")
    dist.destroy_process_group()


main()
