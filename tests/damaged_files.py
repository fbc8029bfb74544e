"""Open damaged files in a process of their own, and report what is neither a result nor InputError.

The libraries that parse these files are written in C and C++: a fault of theirs would end the test
run, and a hostile length could take all memory. `open_all` starts a process with limits, and finds
out after its death which file it had opened.
"""

import contextlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Sequence

from tests import damage

# Address space, most of which TensorFlow and its threads reserve and never use.
_MEMORY = 24 << 30
_SECONDS = 20

Reader = Callable[[pathlib.Path, pathlib.Path], object]


def open_tokenizer(folder: pathlib.Path, to: pathlib.Path) -> None:
    """Load a tokenizer, use it, save it and load what was saved."""
    from official_nlp.data import ElectraTokenizer

    tokenizer = ElectraTokenizer.from_pretrained(folder)
    ids = tokenizer(["Hello [MASK] <e> ﬁ 雪 ..", "a\0b", ""], padding=True)["input_ids"]
    tokenizer.encode_ids(["the red boat"])
    tokenizer.batch_decode(ids)
    tokenizer.save_pretrained(to)
    ElectraTokenizer.from_pretrained(to)


def open_networks(folder: pathlib.Path, to: pathlib.Path) -> None:
    """Open whatever a folder holds, and convert it."""
    from official_nlp.interchange import convert, sources

    source = sources.open(folder)
    if source.networks:
        convert.write(source, to / "converted", "huggingface")


def crash(folder: pathlib.Path, to: pathlib.Path) -> None:
    """Die as a fault of a native library would, for the test of this module."""
    os.kill(os.getpid(), signal.SIGSEGV)


READERS: dict[str, Reader] = {
    "tokenizer": open_tokenizer,
    "networks": open_networks,
    "crash": crash,
}
DAMAGES = {"bytes": damage.bytes_of, "json": damage.either, "sentencepiece": damage.model_of}


def open_all(
    cases: Sequence[tuple[str, pathlib.Path, str, str]], seeds: Iterable[int], seconds: int
) -> tuple[int, list[str]]:
    """Open damaged copies of files; return how many, and what went wrong, with the seed of each.

    Args:
      cases: name of the reader, folder, name of the file in it and name of the damage.
      seeds: seeds of the damage; each damages every file once.
      seconds: time after which to stop.
    """
    plan = [[reader, str(folder), file, kind] for reader, folder, file, kind in cases]
    with tempfile.TemporaryDirectory() as scratch:
        log = pathlib.Path(scratch) / "log"
        done = subprocess.run(
            [sys.executable, "-m", "tests.damaged_files"],
            input=json.dumps([plan, list(seeds), scratch, seconds]),
            text=True,
            capture_output=True,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
            check=False,
        )
        lines = log.read_text().splitlines() if log.exists() else ["nothing was opened"]
    found = [line for line in lines if line.startswith("failed ")]
    if done.returncode or lines[-1] != "end":
        found.append(
            f"{lines[-1]}: the process ended with {done.returncode}: {done.stderr[-2000:]}"
        )
    return sum(line.startswith("opening ") for line in lines), found


class _TooLongError(BaseException):
    """Reading took longer than a damaged file of some kilobytes may take."""


def _interrupt(*_: object) -> None:
    raise _TooLongError(f"took longer than {_SECONDS} s")


def _main() -> None:
    import shutil
    import time

    from official_nlp.errors import InputError

    plan, seeds, scratch, seconds = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, _interrupt)
    end = time.monotonic() + seconds
    folders = []
    for number, (_, folder, _, _) in enumerate(plan):
        folders.append(pathlib.Path(shutil.copytree(folder, pathlib.Path(scratch, str(number)))))
    with open(pathlib.Path(scratch, "log"), "w", buffering=1) as log:
        for seed in seeds:
            for folder, (reader, _, name, kind) in zip(folders, plan, strict=True):
                if time.monotonic() > end:
                    log.write("end\n")
                    return
                file = folder / name
                content = file.read_bytes()
                log.write(f"opening {name} of {reader}, seed {seed}, damage {kind}\n")
                file.write_bytes(DAMAGES[kind](content, seed))
                signal.alarm(_SECONDS)
                try:
                    with tempfile.TemporaryDirectory(dir=scratch) as to:
                        READERS[reader](folder, pathlib.Path(to))
                except InputError:
                    pass
                except BaseException as error:  # whatever it is, it is what the test looks for
                    frames = traceback.extract_tb(error.__traceback__)[-4:]
                    calls = " ".join(f"{pathlib.Path(x.filename).name}:{x.lineno}" for x in frames)
                    what = f"{type(error).__name__}: {str(error)[:200]!r} at {calls}"
                    log.write(f"failed {name} of {reader}, seed {seed}, damage {kind}: {what}\n")
                signal.alarm(0)
                with contextlib.suppress(FileNotFoundError):
                    file.unlink()
                file.write_bytes(content)
        log.write("end\n")


if __name__ == "__main__":
    _main()
