"""What the peers of generation share."""

import torch

from gpt_step import Gpt
from step_time import measure_calls


@torch.no_grad()
def generate(model, ids, count):
    """Continues `ids` [batch, time] by `count` ids drawn from the model's distribution."""
    for _ in range(count):
        probabilities = model(ids)[:, -1].softmax(-1)
        ids = torch.cat([ids, torch.multinomial(probabilities, 1)], 1)
    return ids


def measure_generation(context):
    model = Gpt(context).eval()
    prompt = torch.ones(1, 1, dtype=torch.long)
    measure_calls(lambda: generate(model, prompt, context - 1))
