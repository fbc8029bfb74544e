"""Files of TensorFlow's checkpoints: which are meant, and what is in them."""

import os
import pathlib
import re

import numpy as np

from official_nlp.errors import InputError

# The file that TensorFlow keeps beside its checkpoints: which is the newest.
STATE_FILE = "checkpoint"

_INDEX = ".index"
_ENDING = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")


def find_checkpoint(source: str | os.PathLike) -> pathlib.Path:
    """Returns the path of a checkpoint's files without their endings.

    Args:
      source: that path, one of the files, or a folder with one checkpoint, or with several and the
        file `checkpoint` that names one.

    Raises:
      InputError: there is none, or the folder has several.
    """
    path = pathlib.Path(source)
    if path.is_dir():
        return _checkpoint_of_folder(path)
    prefix = path.with_name(_ENDING.sub("", path.name))
    if _index(prefix).is_file():
        return prefix
    what = "is another file" if path.is_file() else f"there is no {_index(prefix)}"
    raise InputError(
        f"{path} must be a checkpoint: a path such as model.ckpt-1000000 without the ending, or "
        f"the folder; {what}"
    )


def _checkpoint_of_folder(folder: pathlib.Path) -> pathlib.Path:
    found = sorted(file.name.removesuffix(_INDEX) for file in folder.glob(f"*{_INDEX}"))
    name = _named_by_state(folder / STATE_FILE)
    if not found:
        raise InputError(f"{folder} holds no checkpoint: no file in it ends in {_INDEX}")
    if name in found:
        return folder / name
    if len(found) == 1:
        return folder / found[0]
    says = f"its file {STATE_FILE} names {name}" if name else f"no file {STATE_FILE} names one"
    raise InputError(
        f"{folder} holds several checkpoints, {', '.join(found)}, and {says}; give the path of "
        "one, without the ending"
    )


def _named_by_state(file: pathlib.Path) -> str | None:
    """Returns the name of the newest, which the file of the state says."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r'^model_checkpoint_path:\s*"(.*)"', text, re.MULTILINE)
    # Often an absolute path of the machine where it was trained: the checkpoint is here.
    return re.split(r"[/\\]", found[1])[-1] if found else None


def state_of(prefix: pathlib.Path) -> str:
    """Returns the content of `STATE_FILE` that names a checkpoint."""
    name = f'"{prefix.name}"'
    return f"model_checkpoint_path: {name}\nall_model_checkpoint_paths: {name}\n"


def _index(prefix: pathlib.Path) -> pathlib.Path:
    return prefix.with_name(prefix.name + _INDEX)


class Variables:
    """The variables of a checkpoint.

    Attributes:
      prefix: path of its files, without their endings.
      shapes: name to shape.

    Raises:
      InputError: it cannot be read.
    """

    def __init__(self, prefix: pathlib.Path):
        import tensorflow as tf  # seconds, which no error above should wait for

        self.prefix = prefix
        # The second is raised where a file of the data is shorter than its index says.
        self._errors = (tf.errors.OpError, IndexError, ValueError)
        try:
            self._reader = tf.train.load_checkpoint(os.fspath(prefix))
            self.shapes = self._reader.get_variable_to_shape_map()
        except self._errors as error:
            raise self._unreadable(error) from error

    def read(self, name: str) -> np.ndarray:
        """Returns the value of a variable, as it is stored."""
        try:
            return self._reader.get_tensor(name)
        except self._errors as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error):
        says = str(error).strip().partition("\n")[0]
        return InputError(
            f"{self.prefix} cannot be read, its files are damaged, cut short or not all there "
            f"({says}); copy it again"
        )
