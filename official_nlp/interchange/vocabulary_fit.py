"""Compare the number of tokens of a tokenizer with the number of rows of a word table."""

import pathlib

from official_nlp.data.tokenization import tokenizer_files
from official_nlp.errors import InputError


def compare(tokens: int, rows: int, source: object) -> tuple[str, ...]:
    """Check that every token has a row, and return notes on rows that no token has.

    Args:
      tokens: number of tokens, including added ones.
      rows: number of rows of the word table.
      source: path of the tokenizer, for messages.

    Raises:
      InputError: there are more tokens than rows.
    """
    if tokens > rows:
        raise InputError(
            f"the tokenizer {source} must not have more tokens than the {rows} rows of the word "
            f"table (vocab_size), but has {tokens}, with ids up to {tokens - 1}; put the tokenizer "
            "of this model there, or give the model more rows with resize_token_embeddings"
        )
    if tokens == rows:
        return ()
    # Released models have such tables: padded to a multiple of 8 or 128, or too long by mistake.
    return (
        f"the tokenizer {source} has {tokens} tokens for {rows} rows of the word table: the last "
        f"{rows - tokens} rows are unused, unless the tokenizer is that of another model or cut "
        "off",
    )


def compare_folder(folder: pathlib.Path, rows: int) -> tuple[str, ...]:
    """Do the same for the tokenizer in a folder, if there is one.

    Raises:
      InputError: there are more tokens than rows.
    """
    if not any((folder / name).is_file() for name in tokenizer_files.FILES):
        return ()
    try:
        tokens = tokenizer_files.vocabulary_size(folder)
    except InputError as error:
        # The weights are usable with ids from elsewhere.
        return (f"the tokenizer beside the weights was not compared with them: {error}",)
    return compare(tokens, rows, folder)
