"""A GPT like nanoGPT's: no dropout, no biases, tied weights. (Ours has GPT-2's biases besides, a little more work.)"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from step_time import cross_entropy, measure, random_ids


@dataclass
class Sizes:
    layers: int
    heads: int
    width: int
    context: int
    batch: int
    vocab: int = 65


SMALL = Sizes(layers=4, heads=4, width=128, context=64, batch=12)  # nanoGPT's configuration for the CPU
LARGE = Sizes(layers=6, heads=6, width=384, context=256, batch=8)
TOKENS = Sizes(layers=2, heads=3, width=192, context=128, batch=8, vocab=4608)  # the GPT of lesson 07


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, sizes):
        super().__init__()
        width, self.heads = sizes.width, sizes.heads
        self.norm_1 = nn.LayerNorm(width, bias=False)
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.projection = nn.Linear(width, width, bias=False)
        self.norm_2 = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def attention(self, x):
        batch, time, width = x.shape
        parts = self.queries_keys_values(x).split(width, dim=-1)
        q, k, v = (part.view(batch, time, self.heads, -1).transpose(1, 2) for part in parts)
        context = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # [batch, head, time, width / heads]
        return self.projection(context.transpose(1, 2).reshape(batch, time, width))

    def forward(self, x):
        x = x + self.attention(self.norm_1(x))
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


class Gpt(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.tokens = nn.Embedding(sizes.vocab, sizes.width)
        self.positions = nn.Embedding(sizes.context, sizes.width)
        self.blocks = nn.Sequential(*(Block(sizes) for _ in range(sizes.layers)))
        self.norm = nn.LayerNorm(sizes.width, bias=False)

    def forward(self, ids):  # [batch, time] → [batch, time, vocab]
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        return F.linear(self.norm(self.blocks(x)), self.tokens.weight)


def measure_steps(sizes):
    model = Gpt(sizes)
    batch = lambda: random_ids(sizes.vocab, sizes.batch, sizes.context)
    measure(model, lambda: cross_entropy(model(batch()), batch()))
