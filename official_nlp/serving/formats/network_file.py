"""What the formats have in common that write a file for each network: token ids in, logits out."""

import abc
import hashlib
import importlib.metadata
import importlib.util
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from official_nlp.errors import InputError, missing_package
from official_nlp.inference.predictor import Predictor
from official_nlp.ranges import shown
from official_nlp.serving import clean_process, comparison, heads
from official_nlp.serving.formats.writer import ADVICE, Contents, Writer
from official_nlp.serving.sample_ids import sample_ids
from official_nlp.serving.served_network import ServedNetwork, described, token_signature

# Largest difference of a float32 output, in units of its scale. Other kernels sum in another order:
# README.md states what was measured.
TOLERANCE = 1e-4


class NetworkFileWriter(Writer):
    """Write each network of a model as a file, and compare its outputs with the network's.

    Args:
      predictor: the model.
      is_quantized: whether weights are stored as 8-bit integers. Differences are then measured, and
        none is refused.

    Attributes:
      suffix: suffix of the files.
      packages: distributions that write and run them, and the modules they provide.
      extra: the extra of setup.py that has the packages.
    """

    suffix: str
    packages: Mapping[str, str]
    extra: str

    def __init__(self, predictor: Predictor, is_quantized: bool = False):
        for module in self.packages.values():
            if importlib.util.find_spec(module) is None:
                raise missing_package(f"an export as {self.suffix[1:]}", module, self.extra)
        self._predictor = predictor
        self.is_quantized = is_quantized
        self.networks = heads.served_networks(predictor.head, predictor.parts)

    @abc.abstractmethod
    def convert(self, network: ServedNetwork, file: pathlib.Path) -> None:
        """Write a network as a file; may raise any error."""

    def write(self, folder: pathlib.Path) -> Contents:
        files = {}
        for part, network in self.networks.items():
            file = folder / self._name(part)
            try:
                self.convert(network, file)
            except OSError:  # Of the disk.
                raise
            except Exception as error:  # Converters have no errors of their own.
                raise InputError(
                    f"the network cannot be converted to {file.name}: {shown(str(error))}; {ADVICE}"
                ) from error
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            files[part] = {"file": file.name, "sha256": digest}
        signatures = {
            token_signature(part): described(network.function)
            for part, network in self.networks.items()
        }
        versions = {name: importlib.metadata.version(name) for name in self.packages}
        return Contents(signatures, files, versions)

    def _name(self, part: str) -> str:
        return f"{part if len(self.networks) > 1 else 'model'}{self.suffix}"

    # === The check ===

    def check(self, folder: pathlib.Path) -> dict[str, Any]:
        largest = {}
        for part, network in self.networks.items():
            found = self._differences(folder / self._name(part), part, network)
            largest[token_signature(part)] = found
        return {"differences": largest}

    def _differences(
        self, file: pathlib.Path, part: str, network: ServedNetwork
    ) -> dict[str, float]:
        """Return the largest difference of each output of a network.

        Raises:
          InputError: the file cannot be run, or the network is not quantized and an output differs.
        """
        config, tokenizer = self._predictor.parts[part].config, self._predictor.tokenizer
        batches = sample_ids(network, config, tokenizer, self._predictor.length)
        try:
            results = clean_process.run_network(file, batches)
        except clean_process.CleanProcessError as error:
            raise InputError(
                f"{file.name} could not be run in a process of its own: {shown(str(error))}; "
                f"{ADVICE}"
            ) from error
        largest: dict[str, float] = {}
        for batch, outputs in zip(batches, results):
            expected = network({name: tf.constant(array) for name, array in batch.items()})
            arrays = {name: tensor.numpy() for name, tensor in expected.items()}
            for name, found in comparison.differences(outputs, arrays).items():
                if not np.isfinite(found.largest) or (
                    not self.is_quantized and found.relative > TOLERANCE
                ):
                    shape = list(batch["input_word_ids"].shape)
                    raise InputError(
                        f"{name} of {file.name} must be those of the model, but differ by up to "
                        f"{found.largest:.2g} for token ids {shape}; {ADVICE}"
                    )
                largest[name] = max(found.largest, largest.get(name, 0.0))
        return {name: float(f"{value:.3g}") for name, value in largest.items()}
