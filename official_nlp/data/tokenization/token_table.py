"""The tokens of a tokenizer, their ids, and which of them are special."""

from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np

from official_nlp.data.tokenization import added_tokens, wordpiece
from official_nlp.errors import InputError

# The arguments of `ElectraTokenizer` that name a special token.
ROLES = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class TokenTable:
    """The tokens of a vocabulary, its special tokens, and added tokens.

    Attributes:
      vocab: all tokens; the index of a token is its id. Tokens not in the vocabulary file come
        last.
      vocab_size: number of tokens.
      unk_token, sep_token, pad_token, cls_token, mask_token: names of the special tokens.
      unk_token_id, sep_token_id, pad_token_id, cls_token_id, mask_token_id: their ids.
      additional_special_tokens: names of further special tokens.
      added_tokens: all `AddedToken`s, including special tokens, in order of their ids.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        source: str,
        roles: Mapping[str, str | Mapping],
        additional: Sequence[str | Mapping],
        decoder: Mapping | None,
        is_model: bool,
    ):
        """Make a table.

        Args:
          tokens: the tokens of the vocabulary file in order of their ids.
          source: name of the vocabulary in messages.
          roles: special tokens by their roles, of `ROLES`, as arguments of `ElectraTokenizer`.
          additional, decoder: its arguments `additional_special_tokens`, `added_tokens_decoder`.
          is_model: whether the vocabulary is a SentencePiece model.

        Raises:
          InputError: if tokens are not different strings, or a special token is missing.
        """
        self.vocab = list(tokens)
        # The tokens appended below are found by their names only, never as pieces of a word.
        self._file_size = len(self.vocab)
        _check_different(source, self.vocab)
        if not is_model:
            # Whoever saves the tokenizer must not be the first to learn that it cannot be saved.
            wordpiece.file_text(self.vocab, source)
        added_tokens.extend(self.vocab, decoder, additional, source)
        self.vocab_size = len(self.vocab)
        self._ids = {token: id for id, token in enumerate(self.vocab)}
        self._roles = {role: added_tokens.name_of(role, token) for role, token in roles.items()}
        for role, token in self._roles.items():
            self._check_role(source, role, token, is_model)
        names = (self._roles[role] for role in ROLES)
        self.unk_token, self.sep_token, self.pad_token, self.cls_token, self.mask_token = names
        self.unk_token_id = self._ids[self.unk_token]
        self.sep_token_id = self._ids[self.sep_token]
        self.pad_token_id = self._ids[self.pad_token]
        self.cls_token_id = self._ids[self.cls_token]
        self.mask_token_id = self._ids[self.mask_token]
        self.additional_special_tokens = [
            added_tokens.name_of("additional_special_tokens", token) for token in additional
        ]
        self.added_tokens = added_tokens.collect(
            self._ids, roles, decoder, additional, normalizes=not is_model
        )

    @property
    def special_ids(self) -> list[int]:
        """Ids of [CLS], [SEP], [MASK] and [PAD], which carry no text; [UNK] represents a word."""
        return [self.cls_token_id, self.sep_token_id, self.mask_token_id, self.pad_token_id]

    @property
    def all_special_tokens(self) -> list[str]:
        """Names of all special tokens, including additional ones, in order of their ids."""
        return [token.content for token in self.added_tokens if token.special]

    @property
    def all_special_ids(self) -> list[int]:
        """Ids of all special tokens, including additional ones, ascending."""
        return [token.id for token in self.added_tokens if token.special]

    def __len__(self) -> int:
        return self.vocab_size

    @overload
    def convert_ids_to_tokens(self, ids: int, skip_special_tokens: bool = False) -> str: ...

    @overload
    def convert_ids_to_tokens(
        self, ids: Sequence[int] | np.ndarray, skip_special_tokens: bool = False
    ) -> list[str]: ...

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> str | list[str]:
        """Return the tokens of ids, or the token of a single id.

        Raises:
          InputError: if an id is not in the vocabulary.
        """
        if np.ndim(ids) == 0:
            return self._token(int(ids))
        return self._tokens(np.asarray(ids).ravel(), skip_special_tokens)

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int: ...

    @overload
    def convert_tokens_to_ids(self, tokens: list[str] | tuple[str, ...]) -> list[int]: ...

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> int | list[int]:
        """Return the ids of tokens, or the id of a single token; unknown tokens get [UNK]'s id."""
        if isinstance(tokens, str):
            return self._ids.get(tokens, self.unk_token_id)
        return [self._ids.get(token, self.unk_token_id) for token in tokens]

    def get_vocab(self) -> dict[str, int]:
        """Return the ids of all tokens, by token."""
        return dict(self._ids)

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """Return the number of special tokens that are added to one or two segments."""
        return 3 if pair else 2

    def build_inputs_with_special_tokens(
        self, ids: Sequence[int], pair_ids: Sequence[int] | None = None
    ) -> list[int]:
        """Return the ids of one or two segments with special tokens."""
        second = [] if pair_ids is None else [*pair_ids, self.sep_token_id]
        return [self.cls_token_id, *ids, self.sep_token_id, *second]

    def create_token_type_ids_from_sequences(
        self, ids: Sequence[int], pair_ids: Sequence[int] | None = None
    ) -> list[int]:
        """Return the token type ids, 0 or 1, of one or two segments with special tokens."""
        second = 0 if pair_ids is None else len(pair_ids) + 1
        return [0] * (len(ids) + 2) + [1] * second

    def get_special_tokens_mask(
        self,
        ids: Sequence[int],
        pair_ids: Sequence[int] | None = None,
        already_has_special_tokens: bool = False,
    ) -> list[int]:
        """Return 1 for each special token and 0 for other tokens of one or two segments.

        Args:
          ids, pair_ids: ids of segments, to which special tokens would be added.
          already_has_special_tokens: `ids` contain their special tokens; all special tokens among
            them count.
        """
        if already_has_special_tokens:
            special = set(self.all_special_ids)
            return [int(id in special) for id in ids]
        second = [] if pair_ids is None else [*[0] * len(pair_ids), 1]
        return [1, *[0] * len(ids), 1, *second]

    def _tokens(self, ids: np.ndarray, skip_special_tokens: bool) -> list[str]:
        skipped = set(self.all_special_ids) if skip_special_tokens else set()
        return [self._token(id) for id in map(int, ids) if id not in skipped]

    def _token(self, id: int) -> str:
        if not 0 <= id < self.vocab_size:
            raise InputError(
                f"ids must be from 0 to {self.vocab_size - 1}, the last of the vocabulary, was {id}"
            )
        return self.vocab[id]

    def _check_role(self, source: str, role: str, token: str, is_model: bool) -> None:
        if token not in self._ids:
            how = "add it on its own line"
            if is_model:
                how = (
                    "train the model with it as a control symbol "
                    "(`electra vocab --kind sentencepiece`)"
                )
            raise InputError(
                f"{source}: the vocabulary must hold {role} {token!r}, but none of its "
                f"{self.vocab_size} tokens is that; {how}, or give {role}="
            )
        if role == "unk_token" and self._ids[token] >= self._file_size:
            raise InputError(
                f"unk_token must be one of the {self._file_size} tokens of {source}, was "
                f"{token!r}, which is only an added token; put it into the vocabulary"
            )


def _check_different(source: str, vocab: list[str]) -> None:
    seen: dict[str, int] = {}
    for id, token in enumerate(vocab):
        if not isinstance(token, str):
            raise InputError(f"{source}: tokens must be str, but number {id} was {token!r}")
        if token in seen:
            raise InputError(
                f"{source}: tokens must differ, but numbers {seen[token]} and {id}, counted from "
                f"0, are both {token!r}; rename the first, which would never be used"
            )
        seen[token] = id
