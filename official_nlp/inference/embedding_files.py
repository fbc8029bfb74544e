"""Write vectors of texts to a file while they are computed: memory holds a part of them."""

import contextlib
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import numpy as np

from official_nlp.errors import InputError
from official_nlp.files import atomic
from official_nlp.inference.embedding import Embedding, TextEmbedder
from official_nlp.inference.head import Prediction
from official_nlp.inference.inputs import TextPair


def write(
    embedder: TextEmbedder, texts: Sequence[TextPair], pooling: str, path: str | os.PathLike
) -> None:
    """Write the vectors of texts to a new file, which appears when it is complete.

    A `.npy` file is a float32 array `[texts, width]`. Any other file has a JSON object per line:
    `{"embedding": [...]}`, or `{"tokens": [...], "vectors": [[...], ...]}` for `tokens`.

    Args:
      embedder: computes the vectors.
      texts: texts or pairs.
      pooling: one of `embedding.POOLINGS`.
      path: the file, which is replaced; or a pipe or device, which is written directly.

    Raises:
      InputError: the format cannot hold the vectors, or the model has no such pooling.
      OSError: the file cannot be written; its old content is intact.
    """
    embedder.check(pooling)
    is_array = pathlib.Path(path).suffix == ".npy"
    if is_array and pooling == "tokens":
        raise InputError(
            f"the pooling tokens has several vectors for each text, which {path} as one array "
            "cannot hold: name a .jsonl file, or choose cls or mean"
        )
    rows = embedder.tokenize(texts)
    if is_array:
        shape = (len(rows), embedder.width)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        with _opened(path) as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for chunk in embedder.vectors(rows, pooling):
                stream.write(chunk.astype("<f4").tobytes())
        return
    results: Iterable[Prediction]
    if pooling == "tokens":
        results = embedder.token_vectors(rows)
    else:
        chunks = embedder.vectors(rows, pooling)
        results = (Embedding(vector.tolist()) for chunk in chunks for vector in chunk)
    with _opened(path) as stream:
        for result in results:
            stream.write(f"{result.to_json()}\n".encode(errors="backslashreplace"))


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[BinaryIO]:
    path = pathlib.Path(path)
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    with atomic.replacing(path) as temporary, temporary.open("wb") as stream:
        yield stream
