"""Data folders of random words, for tests in which sizes matter and content does not."""

import itertools
import pathlib
import random
import string

from official_nlp import data
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def data_folder(
    parent: pathlib.Path, vocabulary: int, length: int, rows: int = 1000
) -> pathlib.Path:
    """Build a data folder `data` with a `tokenizer` and `text.txt` beside it.

    Args:
      parent: the folder to make them in.
      vocabulary: number of tokens of the vocabulary.
      length: length of the examples in tokens.
      rows: approximate number of examples; a tenth is held out.

    Returns:
      The data folder.
    """
    letters = itertools.product(string.ascii_lowercase, repeat=4)
    words = ["".join(word) for word in itertools.islice(letters, vocabulary - len(SPECIAL))]
    ElectraTokenizer([*SPECIAL, *words]).save_pretrained(parent / "tokenizer")
    draw = random.Random(0)
    documents = (" ".join(draw.choices(words, k=length)) for _ in range(rows))
    (parent / "text.txt").write_text("\n\n".join(documents))
    data.build_examples(
        parent / "text.txt",
        parent / "tokenizer",
        parent / "data",
        length=length,
        held_out=0.1,
        processes=1,
        progress=False,
    )
    return parent / "data"
