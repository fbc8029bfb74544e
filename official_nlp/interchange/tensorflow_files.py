"""Find and read checkpoints of TensorFlow with named variables."""

import os
import pathlib
import re

import numpy as np

from official_nlp.errors import InputError
from official_nlp.files import plain_paths, safe_paths

# TensorFlow writes a file of this name beside its checkpoints; it names the newest one.
STATE_FILE = "checkpoint"
VOCABULARY_FILE = "vocab.txt"

_INDEX = ".index"
_SUFFIX = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")


def find_checkpoint(source: str | os.PathLike) -> pathlib.Path:
    """Return the prefix of a checkpoint, that is the path of its files without their suffixes.

    Args:
      source: the prefix, one of the files, or a folder. A folder with several checkpoints must
        have a file `checkpoint` that names one.

    Raises:
      InputError: there is no checkpoint, or the folder has several.
    """
    path = pathlib.Path(source)
    if path.is_dir():
        return _checkpoint_in_folder(path)
    prefix = path.with_name(_SUFFIX.sub("", path.name))
    if _index(prefix).is_file():
        return prefix
    problem = "is another file" if path.is_file() else f"{_index(prefix)} does not exist"
    raise InputError(
        f"{path} must be a checkpoint: a path without suffix, such as model.ckpt-1000000, or the "
        f"folder; {problem}"
    )


def _checkpoint_in_folder(folder: pathlib.Path) -> pathlib.Path:
    found = sorted(file.name.removesuffix(_INDEX) for file in folder.glob(f"*{_INDEX}"))
    name = _named_by_state(folder / STATE_FILE)
    if not found:
        raise InputError(
            f"{folder} holds no checkpoint: no file in it ends in {_INDEX}; name another folder"
        )
    if name in found:
        return folder / name
    if len(found) == 1:
        return folder / found[0]
    reason = f"its file {STATE_FILE} names {name}" if name else f"has no file {STATE_FILE}"
    raise InputError(
        f"{folder} holds several checkpoints, {', '.join(found)}, and {reason}; give the path of "
        "one, without the suffix"
    )


def _named_by_state(file: pathlib.Path) -> str | None:
    """Return the name of the newest checkpoint according to the state file, if it has one."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r'^model_checkpoint_path:\s*"(.*)"', text, re.MULTILINE)
    # The path is often absolute and from the machine of the training; only its last part counts.
    return re.split(r"[/\\]", found[1])[-1] if found else None


def file_beside(prefix: pathlib.Path, name: str) -> pathlib.Path | None:
    """Return the path of a file beside a checkpoint, None if it does not exist.

    Raises:
      InputError: the file is a link that leads out of the folder.
    """
    exists = prefix.with_name(name).is_file()
    return safe_paths.inside(prefix.parent, name) if exists else None


def state_text(prefix: pathlib.Path) -> str:
    """Return the content of a `STATE_FILE` that names this checkpoint."""
    name = f'"{prefix.name}"'
    return f"model_checkpoint_path: {name}\nall_model_checkpoint_paths: {name}\n"


def _index(prefix: pathlib.Path) -> pathlib.Path:
    return prefix.with_name(prefix.name + _INDEX)


def read_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that TensorFlow raises for checkpoints that are damaged."""
    import tensorflow as tf  # takes seconds, which the errors of `find_checkpoint` need not

    # It raises IndexError where the data file is shorter than its index says, and RuntimeError or
    # ValueError for an index of another format.
    return tf.errors.OpError, IndexError, RuntimeError, ValueError, MemoryError


class Variables:
    """The variables of a checkpoint, read one by one.

    Args:
      prefix: path of the checkpoint's files without their suffixes.

    Attributes:
      prefix: the same.
      shapes: shape of each variable by name.

    Raises:
      InputError: the files are damaged or incomplete.
    """

    def __init__(self, prefix: pathlib.Path):
        import tensorflow as tf

        self.prefix = prefix
        self._errors = read_errors()
        try:
            self._reader = tf.train.load_checkpoint(plain_paths.plain(prefix))
            self.shapes: dict[str, list[int]] = self._reader.get_variable_to_shape_map()
        except self._errors as error:
            raise self._unreadable(error) from error

    def read(self, name: str) -> np.ndarray:
        """Return the value of a variable in its stored dtype.

        Raises:
          InputError: the files are damaged or incomplete.
        """
        try:
            return self._reader.get_tensor(name)
        except self._errors as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> InputError:
        reason = str(error).strip().partition("\n")[0]
        return InputError(
            f"{self.prefix} cannot be read: its files are damaged, cut off or incomplete "
            f"({reason}); copy it again"
        )
