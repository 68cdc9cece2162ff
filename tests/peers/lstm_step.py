"""A character LSTM: vocabulary 65, embedding 128, 2 layers of 256, 32 × 100 characters."""

from torch import nn

from step_time import cross_entropy, measure, random_ids


class CharLstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(65, 128)
        self.lstm = nn.LSTM(128, 256, num_layers=2, batch_first=True)
        self.head = nn.Linear(256, 65)

    def forward(self, ids):  # [batch, time] → [batch, time, vocab]
        states, _ = self.lstm(self.embedding(ids))
        return self.head(states)


if __name__ == "__main__":
    model = CharLstm()
    measure(model, lambda: cross_entropy(model(random_ids(65, 32, 100)), random_ids(65, 32, 100)))
