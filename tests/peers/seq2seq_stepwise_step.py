"""The translator of `seq2seq_step.py`, whose decoder goes word by word: half of the words that it reads are its own."""

import torch

from seq2seq_step import BATCH, LENGTH, VOCAB, Seq2Seq
from step_time import cross_entropy, measure, random_ids


class Stepwise(Seq2Seq):
    def forward(self, src, tgt):  # [batch, source], [batch, target] → [batch, target, vocab]
        memory, state = self.encoder(self.src_embedding(src))
        keys, logits, ids = self.key(memory), [], tgt[:, :1]
        for t in range(tgt.shape[1]):
            if t > 0:
                own = logits[-1].argmax(-1)
                ids = torch.where(torch.rand(own.shape) < 0.5, tgt[:, t : t + 1], own)
            states, state = self.decoder(self.tgt_embedding(ids), state)
            logits.append(self.say(states, memory, keys))
        return torch.cat(logits, 1)


if __name__ == "__main__":
    model = Stepwise()
    batch = lambda: random_ids(VOCAB, BATCH, LENGTH)
    measure(model, lambda: cross_entropy(model(batch(), batch()), batch()))
