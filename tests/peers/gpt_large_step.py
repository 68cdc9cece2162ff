"""The large GPT in f32."""

from gpt import LARGE, measure_steps

if __name__ == "__main__":
    measure_steps(LARGE)
