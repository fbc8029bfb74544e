"""pytorch_model.bin: a pickle, so only torch reads it, by the loader that takes tensors alone."""

import pathlib
import re
from collections.abc import Iterator

import numpy as np

from official_nlp.errors import InputError

_CONVERT = (
    "or convert it where torch and transformers are: "
    "AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER, safe_serialization=True)"
)
# The loader of tensors alone could be made to execute code before this version: CVE-2025-32434.
_SAFE = (2, 6)


def read(file: pathlib.Path) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yields name, float32 array and stored dtype of every tensor.

    Raises:
      InputError: torch is not installed, or too old to be safe; or the file holds more than
        tensors, is truncated, or no such file.
    """
    torch = _torch(file)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken pickle makes its reader raise almost anything
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(
            f"{file} must hold tensors and nothing else, but torch refuses it: {reason}; save the "
            "model anew, as model.safetensors"
        ) from error
    tensors = content.items() if isinstance(content, dict) else [(type(content).__name__, None)]
    for name, tensor in tensors:
        if not isinstance(tensor, torch.Tensor):
            raise InputError(
                f"{file} must hold tensors by name, but has {name}, which is none; save the "
                "model's state_dict()"
            )
        dtype = str(tensor.dtype).removeprefix("torch.")
        yield name, tensor.detach().to(torch.float32).numpy(), dtype


def _torch(file):
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"{file} is a pickle, which torch alone can read safely, and torch is not installed: "
            f"pip install 'official_nlp[torch]', {_CONVERT}"
        ) from error
    version = tuple(int(number) for number in re.findall(r"\d+", torch.__version__)[:2])
    if version < _SAFE:
        raise InputError(
            f"{file} is a pickle, which torch before 2.6 does not read safely, and here is "
            f"{torch.__version__}: pip install -U 'torch>=2.6', {_CONVERT}"
        )
    return torch
