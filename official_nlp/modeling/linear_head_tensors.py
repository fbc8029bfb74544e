"""A linear classifier in the form of the Hugging Face classification head.

Hugging Face's `ElectraForSequenceClassification` has a head of two layers, which computes

    out_proj(gelu(dense(x)))

and no class for a single layer, as google-research/electra has it. But for every number z

    gelu(z) - gelu(-z) = z,

because gelu(z) = z * Phi(z) and Phi(z) + Phi(-z) = 1. So `dense` computes each logit z and its
opposite -z, and `out_proj` subtracts their activations and adds the bias. With the kernel K, `[H,
C]`, the file has

    classifier.dense.weight     [H, H]  the rows of K^T, then those of -K^T, then zeros
    classifier.dense.bias       [H]     zeros
    classifier.out_proj.weight  [C, H]  the identity, its opposite, then zeros
    classifier.out_proj.bias    [C]     the bias

which needs H >= 2 C. The other way to pass a gelu, a bias so large that it is linear there, would
round each number to the precision of that bias. tests/modeling/linear_head_tensors_test.py measures
the logits of random inputs and kernels (standard deviations 1 and 0.05) in float32: they differ
from those of a float64 product by at most 3e-7 at width 32, 2e-6 at 256 and 3e-6 at 768. A single
layer in float32 has the same error from width 256 on; with a large bias it is 3e-5 to 8e-5 at 768.
"""

from typing import Any

import numpy as np

from official_nlp.errors import InputError
from official_nlp.modeling.tensor_names import NamedTensor

_OTHER_HEAD = (
    "a trained dense layer in the file, a linear head in the model; load it with head='dense'"
)


class _Opposites(NamedTensor):
    """A kernel, `[H, C]` in the model: its rows and their opposites, `[H, H]` in the file."""

    def to_hugging_face(self) -> np.ndarray:
        rows = self.variable.numpy().T
        value = np.zeros(self.shape, np.float32)
        value[: len(rows)] = rows
        value[len(rows) : 2 * len(rows)] = -rows
        return value

    def mismatch(self, value: np.ndarray) -> str | None:
        count = self.variable.shape[1]
        rows, opposites, rest = np.split(value, [count, 2 * count])
        return None if np.array_equal(rows, -opposites) and not rest.any() else _OTHER_HEAD

    def assign_hugging_face(self, value: np.ndarray) -> None:
        _require(self, value)
        self.variable.assign(value[: self.variable.shape[1]].T)


class _Fixed(NamedTensor):
    """A tensor that is the same in every file; the variable is that of the kernel."""

    def to_hugging_face(self) -> np.ndarray:
        if len(self.shape) == 1:
            return np.zeros(self.shape, np.float32)
        classes, width = self.shape
        return np.eye(classes, width, dtype=np.float32) - np.eye(
            classes, width, k=classes, dtype=np.float32
        )

    def mismatch(self, value: np.ndarray) -> str | None:
        return None if np.array_equal(value, self.to_hugging_face()) else _OTHER_HEAD

    def assign_hugging_face(self, value: np.ndarray) -> None:
        _require(self, value)


def named_tensors(name: str, layer: Any) -> list[NamedTensor]:
    """Return the tensors of a Keras `Dense` layer in the form of a head of two layers.

    Args:
      name: name of the head, such as `classifier`.
      layer: the layer, with a kernel `[H, C]`.
    """
    kernel, bias = layer.kernel, layer.bias
    width, classes = kernel.shape
    return [
        _Opposites(f"{name}.dense.weight", kernel, (width, width)),
        _Fixed(f"{name}.dense.bias", kernel, (width,)),
        _Fixed(f"{name}.out_proj.weight", kernel, (classes, width)),
        NamedTensor(f"{name}.out_proj.bias", bias, (classes,)),
    ]


def require_room(classes: int, width: int) -> None:
    """Raise InputError unless a linear head of this size has this form.

    Args:
      classes: number of logits.
      width: width of the encoder.
    """
    if 2 * classes > width:
        raise InputError(
            f"head='linear' must have at most hidden_size / 2 = {width // 2} labels, had "
            f"{classes}: more do not fit into a file of Hugging Face's class; use head='dense'"
        )


def _require(tensor: NamedTensor, value: np.ndarray) -> None:
    problem = tensor.mismatch(value)
    if problem:
        raise InputError(f"{tensor.name}: {problem}")
