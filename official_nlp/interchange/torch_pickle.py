"""Read `pytorch_model.bin`, a pickle, by torch's loader that accepts nothing but tensors."""

import pathlib
import re
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from official_nlp.errors import InputError

_CONVERT = (
    "or convert it where torch and transformers are installed: "
    "AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER, safe_serialization=True)"
)
# Before this version the loader for tensors could be made to execute code: CVE-2025-32434.
_SAFE = (2, 6)


def read(file: pathlib.Path) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yield the name, the float32 array and the stored dtype of every tensor.

    Raises:
      InputError: torch is not installed, or too old to be safe; or the file is truncated, has
        another format, or contains other objects than tensors.
    """
    torch = _torch(file)
    try:
        # On the CPU, because tensors that were saved on a GPU would otherwise require that GPU.
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler may raise almost anything for a damaged file
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(
            f"{file} must contain nothing but tensors, but torch refuses it: {reason}; save the "
            "model again, as model.safetensors"
        ) from error
    tensors = content.items() if isinstance(content, dict) else [(type(content).__name__, None)]
    for name, tensor in tensors:
        if not isinstance(tensor, torch.Tensor):
            raise InputError(
                f"{file} must be a mapping from names to tensors, but {name} is no tensor; save "
                "the model's state_dict()"
            )
        dtype = str(tensor.dtype).removeprefix("torch.")
        # Converted by torch, because numpy has no bfloat16.
        yield name, tensor.detach().to(torch.float32).numpy(), dtype


def _torch(file: pathlib.Path) -> ModuleType:
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"{file} is a pickle, which only torch reads safely, and torch is not installed: "
            f"pip install 'official_nlp[torch]', {_CONVERT}"
        ) from error
    version = tuple(int(number) for number in re.findall(r"\d+", torch.__version__)[:2])
    if version < _SAFE:
        raise InputError(
            f"{file} is a pickle, which torch before 2.6 does not read safely, and torch "
            f"{torch.__version__} is installed: pip install -U 'torch>=2.6', {_CONVERT}"
        )
    return torch
