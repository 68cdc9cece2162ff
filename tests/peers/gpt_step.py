"""The small GPT in f32."""

from gpt import SMALL, measure_steps

if __name__ == "__main__":
    measure_steps(SMALL)
