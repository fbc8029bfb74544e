"""Token ids in a graph equal those of the Python tokenizer on text of three languages."""

import gzip
import itertools

import pytest
import tensorflow as tf

from official_nlp.data import ElectraTokenizer
from official_nlp.data.tokenization.vocabulary import train_vocabulary
from official_nlp.serving.text_encoding import TextEncoding

LENGTH = 64
FILES = ("en_movie_reviews", "de_books", "zh_wikipedia_cmrc2018")


def lines_of(folder, name, count=None):
    with gzip.open(folder / f"data/corpus/{name}.txt.gz", "rt", encoding="utf-8") as file:
        lines = (line.rstrip("\n") for line in file)
        return list(itertools.islice((line for line in lines if line.strip()), count))


@pytest.fixture(scope="module")
def encoding(outside_data, tmp_path_factory):
    """The encoding of a vocabulary that was trained on all three languages."""
    folder = tmp_path_factory.mktemp("vocabulary")
    text = folder / "text.txt"
    sample = [line for name in FILES for line in lines_of(outside_data, name, 100)]
    text.write_text("\n".join(sample), encoding="utf-8")
    train_vocabulary(text, folder / "tokenizer", size=2000, progress=False)
    return TextEncoding(ElectraTokenizer.from_pretrained(folder / "tokenizer"), LENGTH)


def assert_same_ids(encoding, lines):
    for start in range(0, len(lines), 256):
        part = lines[start : start + 256]
        inputs, truncated = encoding.encode(tf.constant(part))
        expected = encoding.tokenizer(part, padding=True, truncation=True, max_length=LENGTH)
        assert inputs["input_word_ids"].numpy().tolist() == expected["input_ids"].tolist()
        assert inputs["input_mask"].numpy().tolist() == expected["attention_mask"].tolist()
        whole = [len(ids) > LENGTH for ids in encoding.tokenizer(part)["input_ids"]]
        assert truncated.numpy().tolist() == whole


@pytest.mark.parametrize("name", FILES)
def test_ids_of_a_sample_equal_those_of_python(encoding, outside_data, name):
    assert_same_ids(encoding, lines_of(outside_data, name, 100))


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_ids_of_a_corpus_equal_those_of_python(encoding, outside_data, name):
    assert_same_ids(encoding, lines_of(outside_data, name))
