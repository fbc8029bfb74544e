import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data import ElectraTokenizer
from official_nlp.data.tokenization.vocabulary import train_vocabulary
from official_nlp.errors import InputError
from official_nlp.inference.fillings import BlankFiller
from tests.inference.conftest import build


class Table:
    """Stands in for a generator: it predicts the same probabilities in every blank."""

    def __init__(self, size, probabilities):
        self.scores = np.full([size], -30.0, np.float32)
        for id, probability in probabilities.items():
            self.scores[id] = np.log(probability)

    def __call__(self, batch):
        positions = batch["masked_lm_positions"]
        masked = tf.gather(batch["input_word_ids"], positions, batch_dims=1)
        tf.debugging.assert_equal(masked, 4)
        return tf.tile(self.scores[None, None, :], [*positions.shape.as_list(), 1])


def filler(tokenizer, probabilities=None, length=16):
    ids = {tokenizer.vocab.index(token): p for token, p in (probabilities or {}).items()}
    size = tokenizer.vocab_size
    return BlankFiller(Table(size, ids), tokenizer, size, length)


def best_of(ours, text, **options):
    """Return [(token, probability)] for each blank of a text."""
    (result,) = ours.predict([text], **options)
    return [[(each.token, each.score) for each in blank] for blank in result.fillings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the [MASK] boat", True),
        ("the ___ boat", True),
        ("the _____ boat", True),
        ("def __init__(self):", False),
        ("the boat", False),
    ],
)
def test_a_blank_is_a_mask_or_three_underscores(tokenizer, text, expected):
    assert filler(tokenizer).has_blank(text) == expected


@pytest.mark.parametrize("blank", ["[MASK]", "___", "______"])
def test_a_blank_is_filled_with_the_most_probable_tokens(tokenizer, blank):
    ours = filler(tokenizer, {"boat": 0.5, "bird": 0.3, "river": 0.15, "stone": 0.05})
    (best,) = best_of(ours, f"the red {blank} walks")
    assert [token for token, _ in best] == ["boat", "bird", "river"]
    assert [score for _, score in best] == pytest.approx([0.5, 0.3, 0.15])


def test_every_blank_is_filled(tokenizer):
    found = best_of(filler(tokenizer, {"boat": 0.9, "bird": 0.1}), "___ red [MASK]", top=1)
    assert [[token for token, _ in best] for best in found] == [["boat"], ["boat"]]


def test_a_blank_is_not_filled_with_special_tokens(tokenizer):
    ours = filler(tokenizer, {"[UNK]": 0.5, "[MASK]": 0.2, "boat": 0.2, "bird": 0.1})
    (best,) = best_of(ours, "[MASK]", top=2)
    assert [token for token, _ in best] == ["boat", "bird"]
    assert [score for _, score in best] == pytest.approx([0.2, 0.1])


def test_a_blank_is_not_filled_with_a_padded_row_of_the_table(tokenizer):
    size = tokenizer.vocab_size
    table = Table(size + 3, {size + 1: 0.9, tokenizer.vocab.index("boat"): 0.1})
    (best,) = best_of(BlankFiller(table, tokenizer, size + 3, 16), "[MASK]", top=1)
    assert best[0][0] == "boat"


def test_tokens_of_sentencepiece_fill_blanks_too(text_file, tmp_path):
    pieces = train_vocabulary(
        text_file, tmp_path / "to", size=80, kind="sentencepiece", progress=False
    )
    ours = filler(pieces, {"▁boat": 0.6, "▁the": 0.3})
    (best,) = best_of(ours, "The old ___ walked.", top=2)
    assert [token for token, _ in best] == ["▁boat", "▁the"]


def test_blanks_are_filled_as_the_network_predicts(tokenizer):
    model = build("generator")
    ours = BlankFiller(lambda batch: model(batch)["logits"], tokenizer, tokenizer.vocab_size, 32)
    text = "the ___ boat [MASK] a red ___"
    ids = tokenizer(text.replace("___", "[MASK]"))["input_ids"]
    expected = tf.nn.softmax(model(input_ids=ids[np.newaxis])["logits"])[0].numpy()
    found = best_of(ours, text, top=5)
    assert len(found) == 3
    for best, row in zip(found, expected[ids == tokenizer.mask_token_id]):
        scores = [score for _, score in best]
        assert scores == sorted(scores, reverse=True)
        wanted = [row[tokenizer.vocab.index(token)] for token, _ in best]
        np.testing.assert_allclose(scores, wanted, atol=1e-6)


def test_a_text_without_a_blank_is_refused(tokenizer):
    with pytest.raises(InputError, match=r"no blank to fill: 'the boat'; write \[MASK\] or ___"):
        filler(tokenizer).predict(["a ___", "the boat"])


def test_a_text_with_a_blank_must_fit_into_a_sequence(tokenizer):
    ours = filler(tokenizer, {"boat": 1.0}, length=8)
    ours.predict(["the red boat walks a [MASK]"])
    with pytest.raises(InputError, match="must fit into 6 tokens, got 7; give the sentence"):
        ours.predict(["the red boat walks a [MASK] river"])


def test_the_mask_of_the_tokenizer_is_a_blank():
    tokenizer = ElectraTokenizer(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "<mask>", "a"], mask_token="<mask>"
    )
    assert filler(tokenizer).has_blank("a <mask>")
    assert best_of(filler(tokenizer, {"a": 0.9}), "a <mask> ___", top=1)[1][0][0] == "a"
