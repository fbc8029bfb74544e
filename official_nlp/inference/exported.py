"""Open the folders that `electra export` writes, for `Predictor`.

Results are computed by the signatures of token ids and the heads of this package, so that long
texts, windows and options are treated as for the model that was exported.

A SavedModel is a program of TensorFlow operations: open only folders that you trust.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.files import plain_paths
from official_nlp.inference.exported_files import (
    ADVICE,
    DESCRIPTION,
    GRAPH_FILE,
    TOKENIZER,
    Description,
)
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.ranges import shown

# Inputs that a caller may leave out: a value for every token.
_DEFAULTS = {"input_mask": 1, "input_type_ids": 0}


class ExportedNetwork:
    """A network of an exported folder, in place of the Keras model that it was.

    Attributes:
      model_class: class of the Keras model.
      config: its configuration.

    Call:
      inputs: dict of integer tensors with names of the network's inputs; others are ignored.
      training: must be False.

      Returns a dict of the outputs.
    """

    def __init__(self, loaded: Any, signature: str, model_class: type, config: ElectraConfig):
        # The variables live as long as the loaded object.
        self._loaded = loaded
        self._function = loaded.signatures[signature]
        self._names = tuple(self._function.structured_input_signature[1])
        self.model_class = model_class
        self.config = config

    def __call__(
        self, inputs: Mapping[str, tf.Tensor], training: bool = False
    ) -> dict[str, tf.Tensor]:
        if training:
            raise InputError("an exported model cannot be trained, got training=True")
        ids = tf.cast(inputs["input_word_ids"], tf.int32)
        values = {"input_word_ids": ids}
        for name in self._names:
            if name in inputs:
                values[name] = tf.cast(inputs[name], tf.int32)
            elif name in _DEFAULTS:
                values[name] = tf.fill(tf.shape(ids), _DEFAULTS[name])
        return self._function(**values)


def open_networks(
    version: pathlib.Path, classes: Mapping[str, type]
) -> tuple[dict[str, ExportedNetwork], ElectraTokenizer, int]:
    """Return the networks of a version by part, their tokenizer and the length of sequences.

    Args:
      version: folder of the version.
      classes: classes of models by their Hugging Face names.

    Raises:
      InputError: the folder is damaged, or of a class that is not known.
    """
    # Its operations must be registered before the graph is read.
    import tensorflow_text  # noqa: F401

    described = Description.read(version)
    tokenizer = ElectraTokenizer.from_pretrained(version / TOKENIZER)
    try:
        loaded = tf.saved_model.load(plain_paths.plain(version / GRAPH_FILE).rpartition("/")[0])
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise InputError(f"{version} could not be loaded: {shown(str(error))}; {ADVICE}") from error
    networks = {}
    for part, network in described.networks.items():
        try:
            model_class, signature = classes[network["class"]], network["signature"]
            config = ElectraConfig.from_dict(dict(network["config"]))
            networks[part] = ExportedNetwork(loaded, signature, model_class, config)
        except KeyError as error:
            raise InputError(
                f"{version / DESCRIPTION} names {error}, which this program or the graph does not "
                f"have; {ADVICE}"
            ) from error
    return networks, tokenizer, described.length
