"""A small BERT at masked language modelling: 4 layers, 4 heads, 256 wide, feed-forward 1,024, vocabulary
2,000, 16 × 128 ids of which 15 % are predicted, no dropout."""

import torch
from torch import nn
from torch.nn import functional as F

from step_time import measure, random_ids

VOCAB, WIDTH, HEADS, LAYERS, LENGTH, BATCH = 2000, 256, 4, 4, 128, 16
IGNORE, MASK = -100, 4


class Layer(nn.Module):
    """norm(x + attention(x)), then norm(x + mlp(x))."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.output = nn.Linear(WIDTH, WIDTH)
        self.norm_1 = nn.LayerNorm(WIDTH, eps=1e-12)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)
        self.norm_2 = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x, mask):
        batch, time, _ = x.shape
        heads = lambda linear: linear(x).view(batch, time, HEADS, -1).transpose(1, 2)
        q, k, v = heads(self.query), heads(self.key), heads(self.value)
        context = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # [batch, head, time, width / heads]
        x = self.norm_1(x + self.output(context.transpose(1, 2).reshape(batch, time, WIDTH)))
        return self.norm_2(x + self.down(F.gelu(self.up(x))))


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(VOCAB, WIDTH)
        self.positions = nn.Embedding(LENGTH, WIDTH)
        self.segments = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.transform = nn.Linear(WIDTH, WIDTH)
        self.transform_norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(VOCAB))

    def forward(self, ids, segments, mask):  # [batch, time] → [batch, time, vocab]
        positions = self.positions(torch.arange(ids.shape[1]))
        x = self.norm(self.tokens(ids) + positions + self.segments(segments))
        for layer in self.layers:
            x = layer(x, mask)
        x = self.transform_norm(F.gelu(self.transform(x)))
        return F.linear(x, self.tokens.weight, self.bias)


if __name__ == "__main__":
    model = Bert()
    segments = torch.zeros(BATCH, LENGTH, dtype=torch.long)
    mask = torch.ones(BATCH, 1, 1, LENGTH, dtype=torch.bool)

    def loss():
        ids = random_ids(VOCAB, BATCH, LENGTH)
        chosen = torch.rand(BATCH, LENGTH) < 0.15
        logits = model(ids.masked_fill(chosen, MASK), segments, mask)
        return F.cross_entropy(logits.flatten(0, 1), ids.masked_fill(~chosen, IGNORE).flatten())

    measure(model, loss)
