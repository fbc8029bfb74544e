"""Data of words drawn at random, where sizes matter and content does not."""

import itertools
import pathlib
import random
import string

from official_nlp import data
from official_nlp.data.tokenization.tokenizer import ElectraTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def data_folder(place: pathlib.Path, vocabulary: int, length: int, rows: int = 1000):
    """Returns a data folder under `place` of about so many rows, a tenth of them held out."""
    letters = itertools.product(string.ascii_lowercase, repeat=4)
    words = ["".join(word) for word in itertools.islice(letters, vocabulary - len(SPECIAL))]
    ElectraTokenizer([*SPECIAL, *words]).save_pretrained(place / "tokenizer")
    draw = random.Random(0)
    documents = (" ".join(draw.choices(words, k=length)) for _ in range(rows))
    (place / "text.txt").write_text("\n\n".join(documents))
    data.build_examples(
        place / "text.txt",
        place / "tokenizer",
        place / "data",
        length=length,
        held_out=0.1,
        processes=1,
        progress=False,
    )
    return place / "data"
