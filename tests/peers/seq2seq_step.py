"""An encoder–decoder with additive attention (Bahdanau et al. 2015): GRUs, vocabularies of 400, embedding 64,
hidden 128, 32 sentence pairs of 16 words. The decoder attends with its state before each step."""

import torch
from torch import nn

from step_time import cross_entropy, measure, random_ids

VOCAB, EMBED, HIDDEN, BATCH, LENGTH = 400, 64, 128, 32, 16


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.src_embedding = nn.Embedding(VOCAB, EMBED)
        self.tgt_embedding = nn.Embedding(VOCAB, EMBED)
        self.encoder = nn.GRU(EMBED, HIDDEN, batch_first=True)
        self.query = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.key = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.score = nn.Linear(HIDDEN, 1, bias=False)
        self.cell = nn.GRUCell(EMBED + HIDDEN, HIDDEN)
        self.head = nn.Linear(2 * HIDDEN, VOCAB)

    def forward(self, src, tgt):  # [batch, source], [batch, target] → [batch, target, vocab]
        memory, last = self.encoder(self.src_embedding(src))
        keys, hidden = self.key(memory), last[0]
        outputs = []
        for word in self.tgt_embedding(tgt).unbind(1):
            scores = self.score(torch.tanh(self.query(hidden).unsqueeze(1) + keys))  # [batch, source, 1]
            context = (scores.softmax(1) * memory).sum(1)  # [batch, hidden]
            hidden = self.cell(torch.cat([word, context], -1), hidden)
            outputs.append(torch.cat([hidden, context], -1))
        return self.head(torch.stack(outputs, 1))


if __name__ == "__main__":
    model = Seq2Seq()
    batch = lambda: random_ids(VOCAB, BATCH, LENGTH)
    measure(model, lambda: cross_entropy(model(batch(), batch()), batch()))
