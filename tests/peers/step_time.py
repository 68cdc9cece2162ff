"""What the peers share: times training steps and prints one JSON line, {"name": …, "median_ms": …}.

    python tests/peers/gpt_step.py --samples 50 [--compile]

needs an importable torch (made with torch 2.11.0 from PyPI). A step is what `lib/benches/steps.rs` measures:
random ids, forward, backward, clipping at norm 1, AdamW with decay on matrices only, reading the loss.
With --compile the model goes through torch.compile first (needs a C++ compiler).
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn


def measure(model: nn.Module, loss):
    """Times steps of `model`; `loss()` draws a batch and returns the mean loss."""
    if "--compile" in sys.argv:
        model.compile()
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))

    def step():
        step_loss = loss()
        optimizer.zero_grad(set_to_none=True)
        step_loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step_loss.item()

    measure_calls(step)


def measure_calls(call):
    """Times calls and prints their median."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--compile", action="store_true")
    times = []
    for _ in range(parser.parse_args().samples + 3):  # the first three warm up
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    result = {
        "name": Path(sys.argv[0]).stem,
        "median_ms": 1000 * statistics.median(times[3:]),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(result), flush=True)


def random_ids(vocab_size, *shape):
    return torch.randint(vocab_size, shape)


def cross_entropy(logits, targets):
    return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(0, 1))
