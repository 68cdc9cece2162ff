"""The GPT of gpt_step.py writes until its context of 256 is full, each id from all ids before it: without a cache, as
nanoGPT does."""

from generate import measure_generation

if __name__ == "__main__":
    measure_generation(256)
