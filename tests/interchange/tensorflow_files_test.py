"""Which files a checkpoint of TensorFlow's is, and whether they can be read."""

import shutil

import numpy as np
import pytest

from official_nlp.errors import InputError
from official_nlp.interchange.tensorflow_files import Variables, find_checkpoint, state_of
from tests.interchange.named_variables import save


@pytest.fixture
def place(tmp_path):
    """A folder with a checkpoint of two variables, and the file that names it."""
    draw = np.random.default_rng(0)
    numbers = {"a": np.int64(7), "b/kernel": draw.normal(size=[20, 30]).astype(np.float32)}
    prefix = save(tmp_path / "place" / "model.ckpt-7", numbers)
    (tmp_path / "place" / "checkpoint").write_text(state_of(prefix))
    (tmp_path / "place" / "config.json").write_text("{}")
    return tmp_path / "place"


def read_all(place) -> dict:
    found = Variables(find_checkpoint(place))
    return {name: found.read(name) for name in found.shapes}


def test_variables_are_read_as_they_are_stored(place):
    found = read_all(place)
    assert found["a"] == 7
    assert found["a"].dtype == np.int64
    assert found["b/kernel"].dtype == np.float32
    assert found["b/kernel"].shape == (20, 30)


# === Where the checkpoint is ===


@pytest.mark.parametrize(
    "name", ["", "model.ckpt-7", "model.ckpt-7.index", "model.ckpt-7.data-00000-of-00001"]
)
def test_a_checkpoint_is_named_by_its_folder_or_a_file(place, name):
    assert find_checkpoint(place / name) == place / "model.ckpt-7"


@pytest.mark.parametrize(
    "listed",
    ["model.ckpt-7", "/cns/home/me/model.ckpt-7", "gs://bucket/model.ckpt-7", "C:\\\\model.ckpt-7"],
)
def test_of_several_checkpoints_the_list_names_one_in_the_folder(place, listed):
    for file in place.glob("model.ckpt-7.*"):
        shutil.copy(file, place / file.name.replace("7", "6", 1))
    (place / "checkpoint").write_text(f'model_checkpoint_path: "{listed}"\n')
    assert find_checkpoint(place) == place / "model.ckpt-7"


@pytest.mark.parametrize("listed", [None, b"\xff\x00", b'model_checkpoint_path: "model.ckpt-9"'])
def test_the_only_checkpoint_of_a_folder_needs_no_list(place, listed):
    (place / "checkpoint").unlink()
    if listed is not None:
        (place / "checkpoint").write_bytes(listed)
    assert find_checkpoint(place) == place / "model.ckpt-7"


@pytest.mark.parametrize(
    ("listed", "says"), [("", "no file checkpoint names one"), ("x-9", "checkpoint names x-9")]
)
def test_of_several_checkpoints_one_must_be_named(place, listed, says):
    for file in place.glob("model.ckpt-7.*"):
        shutil.copy(file, place / file.name.replace("7", "6", 1))
    (place / "checkpoint").write_text(f'model_checkpoint_path: "{listed}"\n' if listed else "")
    with pytest.raises(InputError, match=says) as error:
        find_checkpoint(place)
    assert "model.ckpt-6, model.ckpt-7" in str(error.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("model.ckpt-8", "model.ckpt-8.index"),
        ("nowhere/model.ckpt-8", "model.ckpt-8.index"),
        ("config.json", "is another file"),
    ],
)
def test_what_is_no_checkpoint_is_refused(place, name, says):
    with pytest.raises(InputError, match=f"must be a checkpoint.*{says}"):
        find_checkpoint(place / name)


def test_a_folder_without_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no checkpoint: no file in it ends in .index"):
        find_checkpoint(tmp_path)


# === Damage ===


@pytest.mark.parametrize("ending", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("share", [0, 0.5])
def test_a_file_cut_short_is_told(place, ending, share):
    file = place / f"model.ckpt-7.{ending}"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(InputError, match=r"model.ckpt-7 cannot be read, .* cut short .*copy it"):
        read_all(place)


def test_a_changed_byte_is_told(place):
    file = place / "model.ckpt-7.data-00000-of-00001"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        read_all(place)


def test_a_missing_file_of_data_is_told(place):
    (place / "model.ckpt-7.data-00000-of-00001").unlink()
    with pytest.raises(InputError, match="not all there"):
        read_all(place)
