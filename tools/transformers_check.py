"""Compare our models and tokenizers with those of transformers, in both directions through files.

transformers and torch are installed in an environment of their own, one for each version:

    python -m venv /tmp/hf4 && /tmp/hf4/bin/pip install transformers==4.57.6 torch safetensors
    python tools/transformers_check.py /tmp/hf4/bin/python
    python tools/transformers_check.py /tmp/hf4/bin/python --models runs/reviews/model

What we save must load there without missing or unknown tensors, and what is saved there must load
here. All outputs for equal inputs with labels are compared: losses, logits, hidden states,
attentions, keys, values and generated tokens; for tokenizers the ids, types, masks and decoded
texts. With `--models`, folders with models that were fine-tuned here are compared too. The program
prints a table of the largest differences, and exits with 1 if one exceeds the bound or a file could
not be loaded. If torch is not installed beside TensorFlow, `pytorch_model.bin` is skipped.
"""

import argparse
import dataclasses
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

BOUND = 2e-5
PEER = pathlib.Path(__file__).with_name("transformers_peer.py")

SIZES = {
    "vocab_size": 60,
    "embedding_size": 12,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 16,
}
ROWS, CHOICES, LENGTH = 3, 2, 12
YES_NO = {"no": 0, "yes": 1}


@dataclasses.dataclass(frozen=True)
class Case:
    """One model: its class, the fields of its configuration besides the sizes, and its storage.

    A model that was fine-tuned here has a folder.
    """

    name: str
    model: str
    config: dict = dataclasses.field(default_factory=dict)
    storage: str = "float32"
    newest_major: int = 99  # last version of transformers that supports it
    folder: pathlib.Path | None = None


def bare(name, **config) -> Case:
    return Case(name, "ElectraModel", config)


def head(name, **config) -> Case:
    """Return a case; the first word of its name is that of the class."""
    return Case(name, f"ElectraFor{name.partition(' ')[0]}", config)


def finetuned(folder) -> Case:
    """Return the case of a folder with a fine-tuned model."""
    config = json.loads((folder / "config.json").read_text())
    (model,) = config["architectures"]
    config["num_labels"] = len(config.get("id2label", "ab"))
    return Case(str(folder).strip("/").replace("/", "-"), model, config, folder=folder)


def stored(storage, case) -> Case:
    return dataclasses.replace(case, name=f"{case.name} {storage}", storage=storage)


def until_4(case) -> Case:
    return dataclasses.replace(case, newest_major=4)


CASES = [
    bare("Model"),
    bare("Model, no projection", embedding_size=24),
    bare("Model, three types", type_vocab_size=3, layer_norm_eps=1e-3),
    until_4(bare("Model, relative_key", position_embedding_type="relative_key")),
    until_4(bare("Model, relative_key_query", position_embedding_type="relative_key_query")),
    stored("sharded", bare("Model")),
    head("PreTraining"),
    head("PreTraining gelu_new", hidden_act="gelu_new"),
    head("PreTraining silu", hidden_act="silu"),
    until_4(head("PreTraining relative_key", position_embedding_type="relative_key")),
    stored("sharded", head("PreTraining")),
    stored("float16", head("PreTraining")),
    stored("bfloat16", head("PreTraining")),
    stored("bin", head("PreTraining")),
    head("MaskedLM"),
    head("MaskedLM gelu_new", hidden_act="gelu_new"),
    head("MaskedLM untied", tie_word_embeddings=False),
    stored("sharded", head("MaskedLM")),
    stored("float16", head("MaskedLM")),
    stored("bin", head("MaskedLM")),
    head("CausalLM", is_decoder=True),
    head("CausalLM untied", is_decoder=True, tie_word_embeddings=False),
    head("CausalLM cross attention", is_decoder=True, add_cross_attention=True),
    head("SequenceClassification", num_labels=4),
    head("SequenceClassification relu", hidden_act="relu", classifier_dropout=0.3),
    head("SequenceClassification regression", num_labels=1),
    head("SequenceClassification labels", num_labels=4, problem_type="multi_label_classification"),
    head("SequenceClassification names", id2label={0: "no", 1: "yes"}, label2id=YES_NO),
    head("TokenClassification", num_labels=4),
    head("QuestionAnswering"),
    head("MultipleChoice"),
    head("MultipleChoice last", summary_type="last"),
    head("MultipleChoice mean tanh", summary_type="mean", summary_activation="tanh"),
    head("MultipleChoice cls_index", summary_type="cls_index"),
    head("MultipleChoice no layer", summary_use_proj=False),
]

WORDS = ["the", "boat", "river", "past", "un", "##believ", "##able", "wait", "##ing", "caf", "##e"]
CHARACTERS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789äöüßéñçàåøłđиЖя東京都人山"
)
SIGNS = list(".,;:!?-_'\"()[]{}#&%$@*+/\\<>=~^`|€…“”«»—")
TOKENIZERS = {
    "default": {},
    "cased": {"do_lower_case": False},
    "accents kept": {"strip_accents": False},
    "accents stripped, cased": {"do_lower_case": False, "strip_accents": True},
    "Chinese joined": {"tokenize_chinese_chars": False},
    "other names": {"unk_token": "[X]", "mask_token": "[BLANK]"},
    "truncated and padded on the left": {"padding_side": "left", "truncation_side": "left"},
}
TEXTS = [
    ("The boat moves slowly past the river.", None),
    ("Unbelievable! A boat, waiting", "past the café (123)."),
    ("", None),
    ("   spaces\t and\nlines ", "x"),
    ("ÀÉÎ ñandú Straße ŁÓDŹ", "Жя и ЖЯ"),
    ("東京都の人 and 山", None),
    ("A [MASK] moves [SEP] past [CLS] the [UNK] [PAD]", "with [MASK] too"),
    ("a" * 120 + " boat", None),
    ("isn't e-mail@x.org $3.50 #tag", "“quoted” — dash… €5"),
    ("emoji 🚤 boat 👩‍👩‍👧", None),
    ("control\x00 \x07 \u200b zero \u00ad soft \ufeff mark \ufffd", None),
    ("ﬁne ＦＵＬＬ ½ ² Ⅳ İstanbul", None),
]
CUTS = [
    {},
    {"truncation": True, "max_length": 8},
    {"truncation": "only_first", "max_length": 40},
    {"padding": "max_length", "truncation": "longest_first", "max_length": 24},
]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pythons", nargs="+", help="interpreters with transformers and torch")
    parser.add_argument("--folder", type=pathlib.Path, help="folder for the files, which are kept")
    parser.add_argument("--only", default="", help="run only cases whose name contains this text")
    parser.add_argument(
        "--models", nargs="+", type=pathlib.Path, default=[], help="fine-tuned models to compare"
    )
    arguments = parser.parse_args()
    cases = [*CASES, *map(finetuned, arguments.models)]
    cases = [case for case in cases if arguments.only.lower() in case.name.lower()]
    failures = 0
    for number, python in enumerate(arguments.pythons):
        with tempfile.TemporaryDirectory() as temporary:
            folder = (arguments.folder or pathlib.Path(temporary)) / str(number)
            failures += check(python, folder, cases)
    print(f"{failures} failures" if failures else "all agree")
    return 1 if failures else 0


def check(python, folder, cases) -> int:
    """Compare with one version; return the number of failures."""
    errors = {}
    for case in cases:
        write = write_finetuned if case.folder else write_ours
        errors[case.name] = attempt(write, case, folder / "ours" / case.name)
        if case.folder is None:
            write_recipe(case, folder / "theirs" / case.name)
    write_tokenizers(folder / "tokenizers")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    subprocess.run([python, PEER, folder], check=True, env=environment)
    versions = json.loads((folder / "versions.json").read_text())
    major = int(versions["transformers"].split(".")[0])
    print("\n" + ", ".join(f"{name} {version}" for name, version in versions.items()))
    print(f"{'model':40}{'ours, loaded there':>20}{'theirs, loaded here':>20}")
    failures = 0
    for case in cases:
        results = []
        for direction in (ours_there, theirs_here):
            absent = major > case.newest_major or (case.folder and direction is theirs_here)
            results.append("not there" if absent else attempt(direction, case, folder))
        results[0] = errors[case.name] or results[0]
        failures += sum(failed(result) for result in results)
        print(f"{case.name:40}" + "".join(f"{shown(result):>20}" for result in results))
    return failures + check_tokenizers(folder / "tokenizers")


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except Exception as error:
        return f"FAILED: {type(error).__name__}: {error}"


def failed(result) -> bool:
    return result > BOUND if isinstance(result, float) else result.startswith("FAILED")


def shown(result) -> str:
    return f"{result:.1e}" if isinstance(result, float) else f"  {result}"


# === Models ===
def our_class(case):
    import official_nlp as nlp

    bare = case.model == "ElectraModel"
    return nlp.networks.ElectraEncoder if bare else getattr(nlp.models, case.model)


def write_ours(case, folder):
    """Save one of our models, its inputs and its outputs."""
    import numpy as np

    from official_nlp.modeling.networks import ElectraConfig

    model = our_class(case)(ElectraConfig.from_dict({**SIZES, **case.config}))
    random = np.random.default_rng(1)
    for variable in model.variables:
        noise = random.normal(size=variable.shape)
        variable.assign(1 + 0.2 * noise if "gamma" in variable.name else 0.15 * noise)
    folder.mkdir(parents=True)
    options = {"max_shard_size": "20KB"} if case.storage == "sharded" else {}
    if case.storage in ("float16", "bfloat16"):
        options = {"dtype": case.storage}
    model.save_pretrained(folder, **options)
    inputs = make_inputs(case)
    np.savez(folder / "inputs.npz", **inputs)
    if case.storage in ("float16", "bfloat16"):
        model = our_class(case).from_pretrained(folder, strict=True)
    np.savez(folder / "ours.npz", **outputs_of(model, inputs))


def write_finetuned(case, folder):
    """Copy a fine-tuned model; save inputs and its outputs."""
    import numpy as np

    shutil.copytree(case.folder, folder)
    inputs = make_inputs(case)
    np.savez(folder / "inputs.npz", **inputs)
    model = our_class(case).from_pretrained(folder, strict=True)
    np.savez(folder / "ours.npz", **outputs_of(model, inputs))


def write_recipe(case, folder):
    import numpy as np

    folder.mkdir(parents=True)
    recipe = {"model": case.model, "config": {**SIZES, **case.config}, "storage": case.storage}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    np.savez(folder / "inputs.npz", **make_inputs(case))


def make_inputs(case) -> dict:
    """Return sequences of different lengths with types and labels, under Hugging Face names."""
    import numpy as np

    random = np.random.default_rng(2)
    config = {**SIZES, "num_labels": 2, "type_vocab_size": 2, **case.config}
    rows = [ROWS, CHOICES] if "MultipleChoice" in case.model else [ROWS]
    lengths = random.integers(LENGTH // 2, LENGTH + 1, rows)
    inputs = {
        "input_ids": random.integers(5, config["vocab_size"], [*rows, LENGTH]),
        "attention_mask": (np.arange(LENGTH) < lengths[..., None]).astype(np.int64),
        "token_type_ids": random.integers(0, config["type_vocab_size"], [*rows, LENGTH]),
    }
    if config.get("add_cross_attention"):
        width = config["hidden_size"]
        inputs["encoder_hidden_states"] = random.normal(size=[ROWS, 5, width]).astype(np.float32)
        inputs["encoder_attention_mask"] = np.int64([[1] * 5, [1] * 5, [1] * 3 + [0] * 2])
    return {**inputs, **make_labels(case, config, random)}


def make_labels(case, config, random) -> dict:
    import numpy as np

    kind, classes = case.model.removeprefix("ElectraFor"), config["num_labels"]
    if kind == "ElectraModel":
        return {}
    if kind == "QuestionAnswering":
        # The last answer lies outside its sequence and is ignored.
        return {"start_positions": np.int64([1, 4, 30]), "end_positions": np.int64([2, 7, 30])}
    if kind in ("PreTraining", "TokenClassification", "MaskedLM", "CausalLM"):
        size = {"PreTraining": 2, "TokenClassification": classes}.get(kind, config["vocab_size"])
        labels = random.integers(0, size, [ROWS, LENGTH])
        if kind != "PreTraining":
            labels[random.random(labels.shape) < 0.3] = -100
        return {"labels": labels}
    if kind == "MultipleChoice":
        return {"labels": random.integers(0, CHOICES, [ROWS])}
    if classes == 1:
        return {"labels": random.normal(size=[ROWS]).astype(np.float32)}
    if config.get("problem_type") == "multi_label_classification":
        return {"labels": random.integers(0, 2, [ROWS, classes]).astype(np.float32)}
    return {"labels": random.integers(0, classes, [ROWS])}


def outputs_of(model, inputs) -> dict:
    """Return all outputs of one of our models as arrays, under the names of the peer."""
    import numpy as np

    options = {"use_cache": True} if model.config.is_decoder else {}
    outputs = model(dict(inputs), output_hidden_states=True, output_attentions=True, **options)
    arrays = {}
    for name, value in outputs.items():
        if name == "past_key_values":
            for index, layer in enumerate(value):
                arrays[f"key_{index}"] = layer["key"]
                arrays[f"value_{index}"] = layer["value"]
        elif isinstance(value, (list, tuple)):
            arrays |= {f"{name}_{index}": part for index, part in enumerate(value)}
        else:
            arrays["last_hidden_state" if name == "sequence_output" else name] = value
    if model.config.is_decoder and not model.config.add_cross_attention:
        arrays["generated"] = model.generate(inputs["input_ids"][:, :6], max_new_tokens=4)
    return {
        name: np.asarray(value)
        for name, value in arrays.items()
        if not name.startswith("encoder_outputs")
    }


def ours_there(case, folder):
    folder = folder / "ours" / case.name
    if (folder / "error.txt").exists():
        return "FAILED: " + (folder / "error.txt").read_text()
    report = json.loads((folder / "report.json").read_text())
    if report:
        return f"FAILED: transformers found {report}"
    return difference(read(folder / "ours.npz"), read(folder / "theirs.npz"))


def theirs_here(case, folder):
    folder = folder / "theirs" / case.name
    if (folder / "error.txt").exists():
        return "FAILED: " + (folder / "error.txt").read_text()
    if case.storage == "bin" and importlib.util.find_spec("torch") is None:
        return "no torch here"
    model = our_class(case).from_pretrained(folder, strict=True)
    outputs = outputs_of(model, read(folder / "inputs.npz"))
    return difference(outputs, read(folder / "theirs.npz"))


def read(file) -> dict:
    import numpy as np

    with np.load(file) as arrays:
        return dict(arrays)


def difference(ours, theirs):
    """Return the largest difference between two sets of outputs, or a description of a misfit."""
    if set(ours) != set(theirs):
        return f"FAILED: outputs {sorted(set(ours) ^ set(theirs))} exist on one side only"
    for name in ours:
        if ours[name].shape != theirs[name].shape:
            return f"FAILED: {name} is {ours[name].shape} here, {theirs[name].shape} there"
    return max(float(abs(ours[name] - theirs[name]).max()) for name in ours)


# === Tokenizers ===
def vocabulary() -> list[str]:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[X]", "[BLANK]", *WORDS, *SIGNS]
    for character in CHARACTERS:
        tokens += [character, f"##{character}"]
    return list(dict.fromkeys(tokens))


def write_tokenizers(folder):
    import official_nlp as nlp

    for name, options in TOKENIZERS.items():
        tokenizer = nlp.data.ElectraTokenizer(vocabulary(), **options)
        tokenizer.save_pretrained(folder / "ours" / name)
        theirs = folder / "theirs" / name
        theirs.mkdir(parents=True)
        (theirs / "vocab.txt").write_text("\n".join(vocabulary()) + "\n")
        (theirs / "options.json").write_text(json.dumps(options))
    questions = [
        {"text": text, "pair": pair, "options": options}
        for text, pair in TEXTS
        for options in CUTS
        if pair is not None or options.get("truncation") != "only_first"
    ]
    (folder / "questions.json").write_text(json.dumps(questions))


def check_tokenizers(folder) -> int:
    import official_nlp as nlp

    questions = json.loads((folder / "questions.json").read_text())
    found = []
    for name in TOKENIZERS:
        for file in sorted((folder / "ours" / name).glob("answers-*.json")):
            kind = file.stem.partition("-")[2]
            found.append((f"{name}, ours loaded there ({kind})", folder / "ours" / name, file))
        for path in sorted((folder / "theirs").glob(f"{name}-*")):
            kind = path.name.rpartition("-")[2]
            found.append((f"{name}, theirs ({kind}) loaded here", path, path / "answers.json"))
    failures = 0
    print(f"\n{'tokenizer':60}{'different answers':>30}")
    for title, path, file in found:
        tokenizer = attempt(nlp.data.ElectraTokenizer.from_pretrained, path)
        if isinstance(tokenizer, str):
            print(f"{title:60}{tokenizer}")
            failures += 1
            continue
        others = differing(tokenizer, questions, json.loads(file.read_text()), "slow" in title)
        print(f"{title:60}{len(others):>20} of {len(questions)}")
        for other in others[:1]:
            print("   ", *other)
        failures += bool(others)
    for error in sorted(folder.glob("*/*/error.txt")):
        print(f"{error.parent}: {error.read_text()}")
        failures += 1
    return failures


def differing(tokenizer, questions, answers, slow) -> list:
    """Return question, output, our value and theirs, for each question with different answers."""
    others = []
    for question, answer in zip(questions, answers, strict=True):
        cut = question["options"].get("truncation") in (True, "longest_first")
        if slow and cut and question["pair"] is not None:
            # Of two texts of equal length the slow tokenizer truncates the second, the fast one
            # the first.
            continue
        ours = tokenizer(question["text"], question["pair"], **question["options"])
        ours = {name: values.tolist() for name, values in ours.items()}
        ours["decoded"] = tokenizer.decode(
            answer["input_ids"], skip_special_tokens=True, clean_up_tokenization_spaces=True
        )
        for part, theirs in answer.items():
            if ours[part] != theirs:
                others.append((question, part, ours[part], theirs))
                break
    return others


if __name__ == "__main__":
    sys.exit(main())
