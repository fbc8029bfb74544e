"""pytorch_model.bin is read by torch's loader for tensors, or not at all."""

import os
import pickle
import sys
import types

import numpy as np
import pytest

from official_nlp.errors import InputError
from official_nlp.interchange import torch_pickle


class Bomb:
    """An object whose pickle makes a folder when it is loaded."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder / "executed"),)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "pytorch_model.bin"


def read(file) -> dict:
    return {name: array for name, array, _ in torch_pickle.read(file)}


def test_without_torch_nothing_is_unpickled(file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    file.write_bytes(pickle.dumps(Bomb(tmp_path)))
    with pytest.raises(InputError, match=r"torch is not installed: pip install .*\[torch\]"):
        read(file)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("version", ["1.13.1", "2.5.1+cpu"])
def test_an_old_torch_without_a_safe_loader_is_refused(file, version, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(__version__=version))
    with pytest.raises(
        InputError, match=rf"before 2.6 .* torch {version.replace('+', '.')} is installed"
    ):
        read(file)


# === With torch, an optional dependency ===
@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="pickles are read by torch, an extra")


@pytest.mark.slow
def test_tensors_are_read_as_float32(file, torch):
    values = {
        "a": torch.tensor([1.0, 0.1]),
        "b": torch.tensor([[0.1]], dtype=torch.bfloat16),
        "c": torch.tensor([3], dtype=torch.int64),
        "d": torch.nn.Parameter(torch.ones(2)),
    }
    torch.save(values, file)
    found = {name: (array, dtype) for name, array, dtype in torch_pickle.read(file)}
    assert [dtype for _, dtype in found.values()] == ["float32", "bfloat16", "int64", "float32"]
    for name, (array, _) in found.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, values[name].detach().float().numpy())


@pytest.mark.slow
def test_a_pickle_that_would_execute_code_is_refused(file, torch, tmp_path):
    for write in (torch.save, lambda value, file: file.write_bytes(pickle.dumps(value))):
        write({"a": Bomb(tmp_path)}, file)
        with pytest.raises(InputError, match="must contain nothing but tensors"):
            read(file)
    assert not (tmp_path / "executed").exists()


@pytest.mark.slow
def test_a_truncated_pickle_is_refused(file, torch):
    torch.save({"a": torch.ones(1000)}, file)
    whole = file.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(InputError, match="but torch refuses it"):
            read(file)


@pytest.mark.slow
@pytest.mark.parametrize("content", [{"a": 3}, [1, 2], {"model": {}}])
def test_other_objects_than_tensors_are_refused(file, torch, content):
    torch.save(content, file)
    with pytest.raises(InputError, match="must be a mapping from names to tensors, but"):
        read(file)
