"""What the peers of generation share."""

from dataclasses import replace

import torch

from gpt import SMALL, Gpt
from step_time import measure_calls


@torch.no_grad()
def generate(model, ids, count):
    """Continues `ids` [batch, time] by `count` ids drawn from the model's distribution."""
    for _ in range(count):
        probabilities = model(ids)[:, -1].softmax(-1)
        ids = torch.cat([ids, torch.multinomial(probabilities, 1)], 1)
    return ids


def measure_generation(context):
    model = Gpt(replace(SMALL, context=context)).eval()
    prompt = torch.ones(1, 1, dtype=torch.long)
    measure_calls(lambda: generate(model, prompt, context - 1))
