"""TensorFlow checkpoints are found by folder, prefix or file; damaged ones are refused."""

import shutil

import numpy as np
import pytest

from official_nlp.errors import InputError
from official_nlp.interchange.tensorflow_files import Variables, find_checkpoint, state_text
from tests.interchange.named_variables import save


@pytest.fixture
def folder(tmp_path):
    """A folder with a checkpoint of two variables, and the file that names it."""
    draw = np.random.default_rng(0)
    numbers = {"a": np.int64(7), "b/kernel": draw.normal(size=[20, 30]).astype(np.float32)}
    prefix = save(tmp_path / "folder" / "model.ckpt-7", numbers)
    (tmp_path / "folder" / "checkpoint").write_text(state_text(prefix))
    (tmp_path / "folder" / "config.json").write_text("{}")
    return tmp_path / "folder"


def read_all(folder) -> dict:
    found = Variables(find_checkpoint(folder))
    return {name: found.read(name) for name in found.shapes}


def test_variables_are_read_in_their_stored_dtype(folder):
    found = read_all(folder)
    assert found["a"] == 7
    assert found["a"].dtype == np.int64
    assert found["b/kernel"].dtype == np.float32
    assert found["b/kernel"].shape == (20, 30)


# === Finding a checkpoint ===


@pytest.mark.parametrize(
    "name", ["", "model.ckpt-7", "model.ckpt-7.index", "model.ckpt-7.data-00000-of-00001"]
)
def test_a_checkpoint_is_found_by_its_folder_or_a_file(folder, name):
    assert find_checkpoint(folder / name) == folder / "model.ckpt-7"


@pytest.mark.parametrize(
    "listed",
    ["model.ckpt-7", "/cns/home/me/model.ckpt-7", "gs://bucket/model.ckpt-7", "C:\\\\model.ckpt-7"],
)
def test_of_several_checkpoints_the_state_file_names_one(folder, listed):
    for file in folder.glob("model.ckpt-7.*"):
        shutil.copy(file, folder / file.name.replace("7", "6", 1))
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "{listed}"\n')
    assert find_checkpoint(folder) == folder / "model.ckpt-7"


@pytest.mark.parametrize("listed", [None, b"\xff\x00", b'model_checkpoint_path: "model.ckpt-9"'])
def test_a_single_checkpoint_needs_no_state_file(folder, listed):
    (folder / "checkpoint").unlink()
    if listed is not None:
        (folder / "checkpoint").write_bytes(listed)
    assert find_checkpoint(folder) == folder / "model.ckpt-7"


@pytest.mark.parametrize(
    ("listed", "message"), [("", "has no file checkpoint"), ("x-9", "checkpoint names x-9")]
)
def test_several_checkpoints_without_a_valid_state_file_are_refused(folder, listed, message):
    for file in folder.glob("model.ckpt-7.*"):
        shutil.copy(file, folder / file.name.replace("7", "6", 1))
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "{listed}"\n' if listed else "")
    with pytest.raises(InputError, match=message) as error:
        find_checkpoint(folder)
    assert "model.ckpt-6, model.ckpt-7" in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.ckpt-8", "model.ckpt-8.index"),
        ("nowhere/model.ckpt-8", "model.ckpt-8.index"),
        ("config.json", "is another file"),
    ],
)
def test_other_files_are_refused(folder, name, message):
    with pytest.raises(InputError, match=f"must be a checkpoint.*{message}"):
        find_checkpoint(folder / name)


def test_a_folder_without_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no checkpoint: no file in it ends in .index"):
        find_checkpoint(tmp_path)


# === Damage ===


@pytest.mark.parametrize("ending", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("fraction", [0, 0.5])
def test_a_truncated_file_is_refused(folder, ending, fraction):
    file = folder / f"model.ckpt-7.{ending}"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * fraction)])
    with pytest.raises(InputError, match=r"model.ckpt-7 cannot be read: .* cut off .*copy it"):
        read_all(folder)


def test_a_changed_byte_is_detected(folder):
    file = folder / "model.ckpt-7.data-00000-of-00001"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_all(folder)


def test_a_missing_data_file_is_refused(folder):
    (folder / "model.ckpt-7.data-00000-of-00001").unlink()
    with pytest.raises(InputError, match="incomplete"):
        read_all(folder)
