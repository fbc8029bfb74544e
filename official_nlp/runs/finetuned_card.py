"""Write the model card of a fine-tuned model, from the records of its run."""

import pathlib
from collections.abc import Mapping
from typing import Any

_PIPELINES = {
    "ElectraForSequenceClassification": "text-classification",
    "ElectraForTokenClassification": "token-classification",
    "ElectraForQuestionAnswering": "question-answering",
    "ElectraForMultipleChoice": "multiple-choice",
    "ElectraForMaskedLM": "fill-mask",
    "ElectraForCausalLM": "text-generation",
}
# Code of the card.
_LOADING = """```python
import official_nlp as nlp

predictor = nlp.Predictor.from_pretrained("FOLDER")
```

`transformers.{architecture}.from_pretrained` loads it too."""


def write_card(
    architecture: str,
    described: Mapping[str, Any],
    step: int,
    metrics: Mapping[str, Mapping[str, float]],
    parameters: int,
) -> str:
    """Return the text of a model card, in Markdown with metadata for the Hugging Face hub.

    Args:
      architecture: name of the transformers class of the model.
      described: content of the `run.json` of the run.
      step: step of the checkpoint.
      metrics: metrics of the checkpoint by set and name.
      parameters: number of parameters of the model.
    """
    task = described["task"]["class"].rpartition(".")[2].removesuffix("Config")
    front = ["---", "library_name: transformers", "tags:", "- electra"]
    if architecture in _PIPELINES:
        front.append(f"pipeline_tag: {_PIPELINES[architecture]}")
    parts = [
        "\n".join([*front, "---"]),
        f"# ELECTRA, fine-tuned: {task}",
        f"{parameters:,} parameters, fine-tuned with `official_nlp`, ELECTRA for TensorFlow, "
        f"{_initial(described)}.",
        _LOADING.format(architecture=architecture),
        "## Results\n\n" + _results(metrics),
        "## Data\n\n" + _table(described.get("origin", {}).get("data", {}), ("path", "files")),
        "## Training\n\n" + _table(_training(described, step)),
        "The same metrics come from the same command with the same seed: the run folder's "
        "`config.gin` holds all settings, `electra train RUN/config.gin MODEL_DIR=again`.",
    ]
    return "\n\n".join(parts) + "\n"


def _initial(described: Mapping[str, Any]) -> str:
    found = described.get("origin", {}).get("warm_start", {}).get("")
    if not found:
        return "from random initial values"
    # Only the name: the path on somebody's machine does not belong into a public card.
    path = pathlib.PurePath(found["path"])
    # A checkpoint of a run is RUN/checkpoints/ckpt-1000.
    parts = path.parts[-3:] if path.parent.name == "checkpoints" else path.parts[-1:]
    name = "/".join(parts)
    return f"initialized from {found['kind']} `{name}` (sha256 of its tensors `{found['sha256']}`)"


def _results(metrics: Mapping[str, Mapping[str, float]]) -> str:
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    lines = [" | ".join(["| set", *names]) + " |", "|---" * (len(names) + 1) + "|"]
    for set_name, values in metrics.items():
        cells = [f"{values[name]:.4f}" if name in values else "" for name in names]
        lines.append(" | ".join([f"| {set_name}", *cells]) + " |")
    return "\n".join(lines)


def _training(described: Mapping[str, Any], step: int) -> dict[str, Any]:
    settings, (phase, *_) = described["training"], described["phases"]
    total = sum(each["steps"] for each in described["phases"])
    task = described["task"]["config"]
    return {
        "steps": f"{step:,} of {total:,}, batches of {phase['batch_size']} sequences of at most "
        f"{phase['length']} tokens",
        "learning rate": f"{settings['learning_rate']:g}, warm-up over "
        f"{settings['warmup_steps']:,} steps, then decay to 0",
        "decay of the rate by layer": task.get("layer_decay", "none"),
        "weight decay": f"{settings['weight_decay']:g}",
        "seed": settings["seed"],
        "precision policy": settings["policy"],
        "versions": ", ".join(f"{name} {x}" for name, x in described.get("versions", {}).items()),
    }


def _table(rows: Mapping[str, Any], skipped: tuple[str, ...] = ()) -> str:
    lines = [f"| {name} | {value} |" for name, value in rows.items() if name not in skipped]
    return "\n".join(["| | |", "|---|---|", *lines])
