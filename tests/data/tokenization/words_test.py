import numpy as np
import pytest

from official_nlp.data.tokenization import words

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def grouped(tokens, joins, vocab) -> list[str]:
    """Tokens of a row, those of a word joined by +."""
    ids = np.array([vocab.index(token) for token in tokens])
    goes_on = joins.continues(ids)
    return "".join(("+" if on else " ") + token for token, on in zip(tokens, goes_on)).split()


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("a ##b ##c a . ##b", "a+##b+##c a .+##b"),
        ("[CLS] ##b ##c [SEP] ##b", "[CLS] ##b+##c [SEP] ##b"),
        ("[UNK] a [MASK] ##b", "[UNK] a [MASK] ##b"),
    ],
)
def test_pieces_of_wordpiece_form_words(tokens, expected):
    vocab = [*SPECIAL, "a", "##b", "##c", "."]
    joins = words.wordpiece_joins(vocab, [0, 2, 3, 4])
    assert grouped(tokens.split(), joins, vocab) == expected.split()


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("▁un rest . ▁un rest rest", "▁un+rest . ▁un+rest+rest"),
        # As WordPiece cuts: at marks and behind them.
        ("▁un ' rest ▁( rest )", "▁un ' rest ▁( rest )"),
        # A space alone belongs to the word that it begins; a digit to the word it stands in.
        ("▁ rest ▁ . ▁un 36", "▁+rest ▁ . ▁un+36"),
        # Where no spaces are, a piece is a word.
        ("▁ 北京 大学 rest", "▁ 北京 大学 rest"),
        ("▁un カタ ภาษา ไทย", "▁un カタ ภาษา ไทย"),
        # Accents are part of what they stand on, and what is unknown of what it stands in.
        ("▁un \u0308 [UNK] rest <0xC3>", "▁un+\u0308+[UNK]+rest+<0xC3>"),
        ("[CLS] rest [SEP] rest", "[CLS] rest [SEP] rest"),
    ],
)
def test_pieces_of_sentencepiece_form_words(tokens, expected):
    vocab = [*SPECIAL, "▁", "▁un", "rest", ".", "'", "▁(", ")", "36", "北京", "大学", "カタ"]
    vocab += ["ภาษา", "ไทย", "\u0308", "<0xC3>"]
    joining = [1, vocab.index("<0xC3>")]
    joins = words.sentencepiece_joins(vocab, [0, 2, 3, 4], joining)
    assert grouped(tokens.split(), joins, vocab) == expected.split()


def test_no_tokens_have_no_words():
    joins = words.wordpiece_joins(SPECIAL, [])
    assert joins.continues(np.array([], int)).tolist() == []
