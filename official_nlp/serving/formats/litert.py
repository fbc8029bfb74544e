"""Networks as LiteRT files, formerly TensorFlow Lite, for phones and other small machines."""

import pathlib

import tensorflow as tf

from official_nlp.inference.exported_files import EXTRAS, LITERT, LITERT_SUFFIX
from official_nlp.serving.formats.network_file import NetworkFileWriter
from official_nlp.serving.served_network import ServedNetwork


class LiteRtWriter(NetworkFileWriter):
    """Write networks as LiteRT; see `NetworkFileWriter`.

    Weights are quantized by dynamic range: tensors of at least 1,024 weights become 8-bit integers,
    and activations are quantized during the computation. That needs no data.
    """

    suffix = LITERT_SUFFIX
    # The converter is a part of TensorFlow.
    packages = {"ai-edge-litert": "ai_edge_litert"}
    extra = EXTRAS[LITERT]

    def convert(self, network: ServedNetwork, file: pathlib.Path) -> None:
        converter = tf.lite.TFLiteConverter.from_concrete_functions([network.function], network)
        if self.is_quantized:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        file.write_bytes(converter.convert())
