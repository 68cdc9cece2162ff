"""A GPT in nanoGPT's CPU configuration: 4 layers, 4 heads, 128 wide, context 64, batch 12, no dropout, no
biases, tied weights. (Ours has GPT-2's biases besides, which is a little more work.)"""

import torch
from torch import nn
from torch.nn import functional as F

from step_time import cross_entropy, measure, random_ids

VOCAB, WIDTH, HEADS, LAYERS, CONTEXT, BATCH = 65, 128, 4, 4, 64, 12


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self):
        super().__init__()
        self.norm_1 = nn.LayerNorm(WIDTH, bias=False)
        self.queries_keys_values = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.projection = nn.Linear(WIDTH, WIDTH, bias=False)
        self.norm_2 = nn.LayerNorm(WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def attention(self, x):
        batch, time, _ = x.shape
        parts = self.queries_keys_values(x).split(WIDTH, dim=-1)
        q, k, v = (part.view(batch, time, HEADS, -1).transpose(1, 2) for part in parts)
        context = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # [batch, head, time, width / heads]
        return self.projection(context.transpose(1, 2).reshape(batch, time, WIDTH))

    def forward(self, x):
        x = x + self.attention(self.norm_1(x))
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


class Gpt(nn.Module):
    def __init__(self, context=CONTEXT):
        super().__init__()
        self.tokens = nn.Embedding(VOCAB, WIDTH)
        self.positions = nn.Embedding(context, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH, bias=False)

    def forward(self, ids):  # [batch, time] → [batch, time, vocab]
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        return F.linear(self.norm(self.blocks(x)), self.tokens.weight)


if __name__ == "__main__":
    model = Gpt()
    batch = lambda: random_ids(VOCAB, BATCH, CONTEXT)
    measure(model, lambda: cross_entropy(model(batch()), batch()))
