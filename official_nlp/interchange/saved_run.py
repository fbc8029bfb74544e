"""A run's folder, as those read it who do not train."""

import functools
import os
import pathlib

import numpy as np

from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.modeling.models import pretrainer_tensors
from official_nlp.modeling.models.electra_pretrainer import ElectraPretrainer
from official_nlp.tasks.pretraining.task import PretrainingConfig, checkpoint_items
from official_nlp.training import checkpoints, metrics_log
from official_nlp.training.run_folder import RunFolder


class SavedRun:
    """The configuration of a run, its model and what was measured.

    Args:
      folder: the run's.
      which: of its checkpoints: `newest`, `best` or the number of a step.

    Attributes:
      path: the folder.
      described: the content of `run.json`.
      fixed: of that, what makes the run.
      config: a `PretrainingConfig`.

    Raises:
      InputError: the folder is none of a run.
    """

    def __init__(self, folder: str | os.PathLike, which: int | str = "newest"):
        self.path = pathlib.Path(folder)
        self._folder = RunFolder(folder)
        self._which = which
        self.described = self._folder.describe()
        self.fixed = self.described["fixed"]
        self.config = PretrainingConfig.from_dict(self.fixed["task"])

    @functools.cached_property
    def model(self) -> ElectraPretrainer:
        """The model of the checkpoint; nothing of the optimizer is read."""
        model = self.config.build()
        items = checkpoint_items(model)
        checkpoints.restore_items(items, self._folder.checkpoints, self._which)
        return model

    @functools.cached_property
    def tokenizer(self) -> ElectraTokenizer:
        return ElectraTokenizer.from_pretrained(self.path / "tokenizer")

    @property
    def step(self) -> int:
        """Of the checkpoint."""
        path = checkpoints.find(self._folder.checkpoints, self._which)
        return int(path.rpartition("-")[2])

    @property
    def last_step(self) -> int:
        """Of the run, once it ends."""
        return sum(phase["steps"] for phase in self.fixed["phases"])

    def state(self, network: str) -> dict[str, np.ndarray]:
        """Returns the tensors of `generator` or `discriminator`, by Hugging Face's names."""
        tensors = pretrainer_tensors.of(self.model, network)
        return {tensor.name: tensor.to_hugging_face() for tensor in tensors}

    def hugging_face_config(self, network: str) -> dict:
        """Returns the content of a config.json for `generator` or `discriminator`."""
        sizes = getattr(self.config, network)
        return {
            "model_type": "electra",
            **sizes.to_dict(),
            "architectures": [pretrainer_tensors.HUGGING_FACE_CLASSES[network]],
            "pad_token_id": self.tokenizer.pad_token_id,
        }

    def held_out(self) -> dict:
        """Returns the last held-out metrics up to the checkpoint, with their `step`, or nothing."""
        lines = metrics_log.read(self._folder.metrics)
        measured = [
            {name.removeprefix("held_out/"): value for name, value in line.items()}
            for line in lines
            if any(name.startswith("held_out/") for name in line) and line["step"] <= self.step
        ]
        return measured[-1] if measured else {}
