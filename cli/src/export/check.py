"""Checks that models which we exported give the same outputs in transformers.

    python check.py FOLDER …          (torch, transformers, safetensors: `cargo course setup --peers`)

FOLDER holds config.json and model.safetensors, and outputs.safetensors: inputs `ids`, `segments`, `mask`
(the last two where the model has them), and what we made of them: some of `hidden` (the last layer's),
`pooled`, `logits`, `next`. With sample.txt there, tokenizer.json must make `ids` of that text; with
README.md, it must be a model card. Says by how much each differs and fails above 1e-5 (for outputs larger
than 1: of the largest), or if a weight is missing, left over or of another shape.
"""

import sys
from pathlib import Path

import huggingface_hub
import torch
import transformers
from safetensors.torch import load_file

TOLERANCE = 1e-5


class Wrong(Exception):
    pass


def open_model(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    architecture = getattr(transformers, config.architectures[0])
    model, report = architecture.from_pretrained(folder, output_loading_info=True)
    for kind in ["missing_keys", "unexpected_keys", "mismatched_keys"]:
        if report[kind]:
            raise Wrong(f"{kind}: {sorted(report[kind])}")
    return model.eval()


def compare_outputs(model, outputs):
    arguments = {"input_ids": outputs.pop("ids")}
    if (segments := outputs.pop("segments", None)) is not None:
        arguments["token_type_ids"] = segments
    if (mask := outputs.pop("mask", None)) is not None:
        arguments["attention_mask"] = mask.long()
    with torch.no_grad():
        theirs = model(**arguments, output_hidden_states=True)
        names = {"next": "seq_relationship_logits", "pooled": "pooler_output"}
        for name, ours in outputs.items():
            if name == "hidden":
                value = theirs.hidden_states[-1]
            elif name == "logits":
                value = theirs["prediction_logits" if "prediction_logits" in theirs else "logits"]
            elif name == "pooled" and "pooler_output" not in theirs:
                value = model.base_model(**arguments).pooler_output
            else:
                value = theirs[names[name]]
            difference = (value - ours).abs().max().item() / max(1.0, ours.abs().max().item())
            print(f"{type(model).__name__} {name} {tuple(ours.shape)}: {difference:.1e}")
            if not difference <= TOLERANCE:
                raise Wrong(f"{name} differs by {difference:.1e}, more than {TOLERANCE}")


def compare_tokens(folder, text, ids):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = tokenizer(text, add_special_tokens=False).input_ids
    if theirs != ids and tokenizer(text).input_ids != ids:
        raise Wrong(f"the tokenizer makes {theirs[:20]} of {text!r}, not {ids[:20]}")
    print(f"{type(tokenizer).__name__}: the same {len(ids)} ids")


def check(folder):
    outputs = load_file(folder / "outputs.safetensors")
    if (sample := folder / "sample.txt").is_file():
        compare_tokens(folder, sample.read_text(encoding="utf-8"), outputs["ids"][0].tolist())
    compare_outputs(open_model(folder), outputs)
    if (card := folder / "README.md").is_file():
        print(f"model card: {huggingface_hub.ModelCard.load(card).data.pipeline_tag}")


def main(folders):
    failed = False
    for folder in folders:
        print(f"{folder.name}:", flush=True)
        try:
            check(folder)
        except Exception as error:
            print(f"FAILED: {error}", flush=True)
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    main([Path(folder) for folder in sys.argv[1:]])
