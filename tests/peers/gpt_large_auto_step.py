"""The large GPT in f32, as nanoGPT trains on a processor; ours has Precision::Auto."""

from gpt import LARGE, measure_steps

if __name__ == "__main__":
    measure_steps(LARGE)
