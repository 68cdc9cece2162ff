"""The GPT of lesson 07, with many ids, in f32."""

from gpt import TOKENS, measure_steps

if __name__ == "__main__":
    measure_steps(TOKENS)
