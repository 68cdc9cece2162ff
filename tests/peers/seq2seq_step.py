"""An encoder–decoder with additive scores (Bahdanau et al. 2015) asked by the decoder's states after the whole target
was read (Luong et al. 2015), as our model does: GRUs, vocabularies of 400, embedding 64, hidden 128, 32 sentence
pairs of 16 words."""

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
        self.decoder = nn.GRU(EMBED, HIDDEN, batch_first=True)
        self.combine = nn.Linear(2 * HIDDEN, HIDDEN)
        self.head = nn.Linear(HIDDEN, VOCAB)

    def forward(self, src, tgt):  # [batch, source], [batch, target] → [batch, target, vocab]
        memory, last = self.encoder(self.src_embedding(src))
        states, _ = self.decoder(self.tgt_embedding(tgt), last)
        return self.say(states, memory, self.key(memory))

    def say(self, states, memory, keys):  # [batch, time, hidden], [batch, source, hidden] twice → [batch, time, vocab]
        sums = self.query(states).unsqueeze(2) + keys.unsqueeze(1)  # [batch, time, source, hidden]
        weights = self.score(torch.tanh(sums)).squeeze(-1).softmax(-1)
        return self.head(torch.tanh(self.combine(torch.cat([weights @ memory, states], -1))))


if __name__ == "__main__":
    model = Seq2Seq()
    batch = lambda: random_ids(VOCAB, BATCH, LENGTH)
    measure(model, lambda: cross_entropy(model(batch(), batch()), batch()))
