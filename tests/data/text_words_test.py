import string

import pytest

from official_nlp.data import ElectraTokenizer, text_words

LETTERS = [*string.ascii_lowercase, *string.digits]
TOKENIZER = ElectraTokenizer(
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{each}" for each in LETTERS)]
)


def words(text):
    return [text[start:end] for start, end in text_words.spans(TOKENIZER, text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Joined by single punctuation characters.
        ("The U.S. paid 3.5 to AT&T.", "The U.S. paid 3.5 to AT&T ."),
        ("O'Brien, twenty-one, 1,000", "O'Brien , twenty-one , 1,000"),
        # A period belongs to abbreviations only.
        ("In the U.N., e.g. the end.", "In the U.N. , e.g. the end ."),
        ("version 3.5.", "version 3.5 ."),
        ("She left...", "She left . . ."),
        # The possessive s is a word.
        ("Anna's boat, the dogs' and it\u2019s", "Anna 's boat , the dogs ' and it \u2019s"),
        ("'s", "' s"),
        # Punctuation at the border of a word, or several characters of it, divide.
        ('said: "No." (a -b)', 'said : " No . " ( a - b )'),
        ("http://a.b", "http : / / a.b"),
        ("a - b", "a - b"),
        # Scripts without spaces are divided as the tokenizer does.
        ("\u5317\u4eac.\u4e0a", "\u5317 \u4eac . \u4e0a"),
        # Vowel signs belong to letters.
        ("\u0928\u0940.\u0928\u0940", "\u0928\u0940.\u0928\u0940"),
        ("", ""),
        (" \n", ""),
    ],
)
def test_a_text_is_divided_as_tagged_files_are(text, expected):
    assert words(text) == expected.split()


def test_every_character_but_white_space_is_in_one_word():
    text = "Mr. O'Neil (U.S.A.)\u00a0 said:\t\u201cNo!\u201d -- a.b.c's 5%"
    assert "".join(words(text)) == "".join(text.split())
