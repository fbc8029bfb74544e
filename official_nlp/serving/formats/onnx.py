"""Networks as ONNX files, for ONNX Runtime, Triton and others."""

import logging
import pathlib

import tensorflow as tf

from official_nlp.inference.exported_files import EXTRAS, ONNX, ONNX_SUFFIX
from official_nlp.serving.formats.network_file import NetworkFileWriter
from official_nlp.serving.served_network import ServedNetwork

# The newest that tf2onnx 1.17 writes.
_OPSET = 18


class OnnxWriter(NetworkFileWriter):
    """Write networks as ONNX; see `NetworkFileWriter`.

    Weights are quantized dynamically: those of matrix products and of the embeddings become 8-bit
    integers, and activations are quantized during the computation. That needs no data.
    """

    suffix = ONNX_SUFFIX
    packages = {"tf2onnx": "tf2onnx", "onnxruntime": "onnxruntime"}
    extra = EXTRAS[ONNX]

    def convert(self, network: ServedNetwork, file: pathlib.Path) -> None:
        import tf2onnx

        # What it cannot convert it logs and writes nevertheless; the check finds it.
        logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
        specs = list(network.function.structured_input_signature[1].values())
        names = [spec.name for spec in specs]
        function = tf.function(lambda *values: network.function(**dict(zip(names, values))))
        model, _ = tf2onnx.convert.from_function(function, specs, opset=_OPSET)
        file.write_bytes(model.SerializeToString())
        if self.is_quantized:
            _quantize(file)


def _quantize(file: pathlib.Path) -> None:
    """Replace the weights of a file by 8-bit integers."""
    from onnxruntime import quantization

    # It advises to optimize the graph first, which tf2onnx has done.
    logging.getLogger().addFilter(_is_no_advice)
    try:
        quantization.quantize_dynamic(file, file, per_channel=True)
    finally:
        logging.getLogger().removeFilter(_is_no_advice)


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()
