"""A model without TensorFlow: it measures texts, so that every client knows its own answer."""

import numpy as np

from official_nlp.serving.server.tensors import Signature, Tensor


def tensors(**each):
    return {name: Tensor(name, dtype, shape) for name, (dtype, shape) in each.items()}


SIGNATURE = Signature(
    tensors(text=("string", (None,))),
    tensors(
        size=("int32", (None,)),
        word=("string", (None, None)),
        num_words=("int32", (None,)),
    ),
)
PAIRS = Signature(
    tensors(text=("string", (None,)), text_pair=("string", (None,))),
    tensors(same=("bool", (None,))),
)
NUMBERS = Signature(tensors(values=("int32", (None, None))), tensors(total=("float32", (None,))))
# No output by row.
WHOLE = Signature(tensors(text=("string", (None,))), tensors(count=("int32", ())))
SIGNATURES = {"serving_default": SIGNATURE, "pairs": PAIRS, "numbers": NUMBERS, "whole": WHOLE}


def measured(texts: list[bytes]) -> dict[str, np.ndarray]:
    words = [text.split() for text in texts]
    most = max(map(len, words), default=0)
    padded = np.full((len(texts), most), b"", object)
    for row, each in zip(padded, words):
        row[: len(each)] = each
    return {
        "size": np.array([len(text) for text in texts], np.int32),
        "word": padded,
        "num_words": np.array([len(each) for each in words], np.int32),
    }


class Toy:
    """A version of a model; `calls` has the number of rows of each batch."""

    head, length = None, None
    signatures = SIGNATURES

    def __init__(self, version=1, block=None):
        self.version = version
        self.calls = []
        self._block = block

    def run(self, name, inputs):
        self.calls.append(len(next(iter(inputs.values()))))
        if self._block:
            self._block.wait(10)
        if name == "numbers":
            return {"total": inputs["values"].sum(axis=1).astype(np.float32)}
        texts = list(inputs["text"])
        if b"fail" in texts:
            raise RuntimeError("a text made the model fail")
        if name == "pairs":
            return {"same": inputs["text"] == inputs["text_pair"]}
        if name == "whole":
            return {"count": np.int32(len(texts))}
        return measured(texts)

    def warm_up(self):
        self.run("serving_default", {"text": np.array([b"warm"], object)})
