"""Adapt `SavedRun` to the interface of `load_run`, until that replaces it."""

import pathlib
from typing import Any

from official_nlp.interchange.saved_run import SavedRun
from official_nlp.modeling.models import pretrainer_tensors


class Networks:
    """The networks of a `PretrainingConfig`, as `HasNetworks`."""

    architectures = pretrainer_tensors.HUGGING_FACE_CLASSES
    loss_weights = {"mlm": 1.0, "rtd": 50.0}

    def __init__(self, config: Any):
        self.config = config
        self.sharing = config.sharing

    def networks(self) -> dict[str, Any]:
        return {name: getattr(self.config, name) for name in self.architectures}

    def named_tensors(self, model: Any) -> dict[str, Any]:
        return {name: pretrainer_tensors.of(model, name) for name in self.architectures}

    def is_shared(self, tensor_name: str) -> bool:
        return pretrainer_tensors.is_shared(tensor_name, self.sharing)


class _Run:
    def __init__(self, run: SavedRun):
        fixed, beginning = run.fixed, run.described.get("beginning", {})
        self.path, self.step, self.last_step = run.path, run.step, run.last_step
        self.task = Networks(run.config)
        self.model, self.tokenizer = run.model, run.tokenizer
        phases = [
            {
                **phase,
                "loss_weights": {
                    "mlm": phase["generator_weight"],
                    "rtd": phase["discriminator_weight"],
                },
            }
            for phase in fixed["phases"]
        ]
        self.described = {
            **run.described,
            **fixed,
            "task": {"config": fixed["task"]},
            "phases": phases,
            "origin": {
                "data": beginning.get("data", {}),
                "warm_start": beginning.get("initial", {}),
            },
        }
        self.metrics = lambda prefix: run.held_out()


def load_run(path: pathlib.Path, checkpoint: int | str) -> _Run:
    return _Run(SavedRun(path, checkpoint))
