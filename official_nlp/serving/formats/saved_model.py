"""Models as SavedModels that take strings."""

import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.inference.predictor import Predictor
from official_nlp.ranges import shown
from official_nlp.serving import clean_process, heads, warmup
from official_nlp.serving.comparison import is_close
from official_nlp.serving.formats.writer import ADVICE, Contents, Writer
from official_nlp.serving.served_network import described, token_signature
from official_nlp.tasks.finetuning.predicted_texts import WINDOWS


class SavedModelWriter(Writer):
    """Write a model as a SavedModel, and compare its results with those of the predictor.

    Args:
      predictor: the model.
      long_texts: see `heads.served_head`.
    """

    def __init__(self, predictor: Predictor, long_texts: str = WINDOWS):
        self._predictor = predictor
        self.networks = heads.served_networks(predictor.head, predictor.parts)
        self._served = heads.served_head(predictor.head, self.networks, long_texts)

    def write(self, folder: pathlib.Path) -> Contents:
        signatures = self._served.signatures()
        for part, network in self.networks.items():
            signatures[token_signature(part)] = network.function
        tf.saved_model.save(self._served, os.fspath(folder), signatures=signatures)
        requests = {name: each.request for name, each in self._served.samples().items()}
        # The folder of the model has its name, and holds those of its versions.
        warmup.write(folder, folder.resolve().parent.name, requests)
        specs = {name: described(each) for name, each in signatures.items()}
        return Contents(specs, {}, {}, self._served.windows)

    def check(self, folder: pathlib.Path) -> dict[str, Any]:
        samples = self._served.samples()
        try:
            found = clean_process.run(
                folder, {name: each.request for name, each in samples.items()}
            )
        except clean_process.CleanProcessError as error:
            raise InputError(
                f"the exported model could not be run in a process of its own: "
                f"{shown(str(error))}; {ADVICE}"
            ) from error
        for name, each in samples.items():
            outputs = {key: _array(values) for key, values in found[name].items()}
            self._compare(name, each.inputs, outputs)
        return {}

    def _compare(self, name: str, inputs: Sequence[Any], outputs: dict[str, np.ndarray]) -> None:
        """Refuse outputs of a signature that are not the results of the predictor.

        Args:
          name: name of the signature.
          inputs: inputs as `Predictor` takes them.
          outputs: outputs of the signature for them.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # A short model truncates samples.
            expected = [result.to_dict() for result in self._predictor(inputs)]
        for text, one, other, truncated in zip(
            inputs, self._served.results(outputs), expected, outputs["truncated"]
        ):
            # `Predictor` divides long texts without a limit.
            if not truncated and not is_close(one, other):
                raise InputError(
                    f"the signature {name} of the exported model must return {shown(other)} for "
                    f"{shown(text)}, as the model does, but returned {shown(one)}; {ADVICE}"
                )


def _array(values: list) -> np.ndarray:
    array = np.array(values)
    return array.astype(object) if array.dtype.kind == "U" else array
