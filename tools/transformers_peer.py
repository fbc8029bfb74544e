"""The part of tools/transformers_check.py that runs in the environment of transformers.

    path/to/other/python tools/transformers_peer.py FOLDER

The folder has:
  ours/CASE/          a model that we saved, and `inputs.npz`; the program adds `theirs.npz`, and
                      `report.json` with the loading problems that transformers found
  theirs/CASE/        `recipe.json` and `inputs.npz`; the program adds a model of transformers and
                      `theirs.npz`
  tokenizers/ours/    folders that our tokenizer saved; the program adds an `answers-KIND.json` for
                      each kind of tokenizer of transformers
  tokenizers/theirs/  folders with `vocab.txt` and `options.json`; the program adds, beside each,
                      a folder NAME-KIND for each kind of tokenizer, with its `answers.json`
  tokenizers/questions.json

The program needs neither our library nor TensorFlow.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import transformers

MAJOR = int(transformers.__version__.split(".")[0])
PARTS = ("hidden_states", "attentions", "cross_attentions")


def main() -> int:
    folder = pathlib.Path(sys.argv[1])
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    (folder / "versions.json").write_text(
        json.dumps({"transformers": transformers.__version__, "torch": torch.__version__})
    )
    for case in sorted((folder / "ours").glob("*")):
        guarded(load, case)
    for case in sorted((folder / "theirs").glob("*")):
        guarded(make, case)
    questions = json.loads((folder / "tokenizers" / "questions.json").read_text())
    for case in sorted((folder / "tokenizers" / "ours").glob("*")):
        guarded(load_tokenizer, case, questions)
    for case in sorted((folder / "tokenizers" / "theirs").glob("*")):
        guarded(make_tokenizer, case, questions)
    return 0


def guarded(function, case, *arguments):
    """Write the error of a failing case into its folder, so that the others still run."""
    try:
        function(case, *arguments)
    except Exception as error:
        (case / "error.txt").write_text(f"{type(error).__name__}: {error}")


def load(case):
    config = json.loads((case / "config.json").read_text())
    cls = getattr(transformers, config["architectures"][0])
    model, found = cls.from_pretrained(
        case, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    report = {kind: sorted(map(str, names)) for kind, names in found.items() if names}
    (case / "report.json").write_text(json.dumps(report))
    answer(model, case)


def make(case):
    recipe = json.loads((case / "recipe.json").read_text())
    config = transformers.ElectraConfig(**recipe["config"])
    config._attn_implementation = "eager"
    model = getattr(transformers, recipe["model"])(config)
    # Large enough values reveal a tensor in the wrong position or layout.
    random = torch.Generator().manual_seed(1)
    for name, tensor in model.named_parameters():
        noise = torch.randn(tensor.shape, generator=random)
        tensor.data = 1 + 0.2 * noise if name.endswith("LayerNorm.weight") else 0.15 * noise
    model.tie_weights()
    storage = recipe["storage"]
    if storage in ("float16", "bfloat16"):
        model = model.to(getattr(torch, storage))
    if storage == "bin":
        # Written directly: newer versions do not write such files, but the hub has many.
        model.config.architectures = [recipe["model"]]
        model.config.save_pretrained(case)
        torch.save(model.state_dict(), case / "pytorch_model.bin")
    else:
        size = "20KB" if storage == "sharded" else "5GB"
        model.save_pretrained(case, max_shard_size=size)
    answer(model.float(), case)


def answer(model, case):
    with np.load(case / "inputs.npz") as arrays:
        inputs = {name: torch.tensor(value) for name, value in arrays.items()}
    options = {"output_hidden_states": True, "output_attentions": True, "return_dict": True}
    model.eval()
    with torch.no_grad():
        outputs = model(**inputs, **options)
        arrays = {}
        for name, value in outputs.items():
            if name in PARTS:
                arrays |= {f"{name}_{index}": part.numpy() for index, part in enumerate(value)}
            elif name != "past_key_values":
                arrays[name] = value.numpy()
        if model.config.is_decoder:
            arrays |= decoded(model, {k: x for k, x in inputs.items() if k != "labels"})
    np.savez(case / "theirs.npz", **arrays)


def decoded(model, inputs) -> dict:
    """Return keys and values, which are not returned with labels, and a generated continuation."""
    arrays = {}
    cache = model(**inputs, use_cache=True, return_dict=True).past_key_values
    for index, (key, value) in enumerate(layers_of(cache)):
        # Ours are [batch, length, heads, width].
        arrays[f"key_{index}"] = key.transpose(1, 2).numpy()
        arrays[f"value_{index}"] = value.transpose(1, 2).numpy()
    if not model.config.add_cross_attention:  # `generate` of transformers fails with it
        ids = inputs["input_ids"][:, :6]
        arrays["generated"] = model.generate(ids, max_new_tokens=4, do_sample=False).numpy()
    return arrays


def layers_of(cache):
    """Return keys and values of the decoder's own layers, from the cache of any version."""
    cache = getattr(cache, "self_attention_cache", cache)
    if hasattr(cache, "layers"):
        return [(layer.keys, layer.values) for layer in cache.layers]
    return [part[:2] for part in cache]


def kinds() -> dict:
    """Return the tokenizer classes of transformers: one since version 5, two before."""
    both = {"fast": transformers.ElectraTokenizerFast, "slow": transformers.ElectraTokenizer}
    return {"fast": transformers.ElectraTokenizer} if MAJOR >= 5 else both


def load_tokenizer(case, questions):
    for kind, cls in kinds().items():
        tokenizer = cls.from_pretrained(case)
        write_answers(tokenizer, questions, case / f"answers-{kind}.json")
    tokenizer = transformers.AutoTokenizer.from_pretrained(case)
    write_answers(tokenizer, questions, case / "answers-auto.json")


def make_tokenizer(case, questions):
    options = json.loads((case / "options.json").read_text())
    for kind, cls in kinds().items():
        key = "vocab" if MAJOR >= 5 else "vocab_file"
        tokenizer = cls(**{key: str(case / "vocab.txt")}, **options)
        folder = case.parent / f"{case.name}-{kind}"
        tokenizer.save_pretrained(folder)
        write_answers(tokenizer, questions, folder / "answers.json")


def write_answers(tokenizer, questions, file):
    answers = []
    for question in questions:
        found = tokenizer(question["text"], question["pair"], **question["options"])
        ids = found["input_ids"]
        answer = {name: found[name] for name in ("input_ids", "token_type_ids", "attention_mask")}
        if tokenizer.is_fast:  # the slow tokenizer decodes differently
            answer["decoded"] = tokenizer.decode(
                ids, skip_special_tokens=True, clean_up_tokenization_spaces=True
            )
        answers.append(answer)
    file.write_text(json.dumps(answers))


if __name__ == "__main__":
    sys.exit(main())
