"""Added tokens: special tokens and others that are matched before a text is split into words."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from official_nlp.data.tokenization import argument_checks
from official_nlp.errors import InputError

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
# Further keys in Hugging Face's files, which are ignored.
_IGNORED = {"content", "id", "__type"}


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """A token that is matched by its name anywhere in a text.

    Attributes:
      id: its id.
      content: its name, the text that it matches.
      special: it carries no text: `decode` can leave it out, and `encode_ids` does not match it.
      single_word: it only matches where no letter, digit or underscore touches it.
      lstrip, rstrip: it also matches white space before it, or after it.
      normalized: it is matched in the normalized text (lower case, without accents) instead of the
        original text.
    """

    id: int
    content: str
    special: bool = True
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False


def name_of(argument: str, token: str | Mapping | AddedToken) -> str:
    """Return the name of a token that is given as its name, or as a dict of rules.

    Args:
      argument: name of the argument in messages.
      token: the value of the argument.

    Raises:
      InputError: if it is neither.
    """
    return _rules(argument, token)["content"]


def extend(vocab: list[str], decoder: Mapping | None, additional: Sequence, source: str) -> None:
    """Append added tokens to a vocabulary that does not have them.

    Args:
      vocab: the tokens of the vocabulary file; changed in place.
      decoder: argument `added_tokens_decoder` of the tokenizer.
      additional: its argument `additional_special_tokens`.
      source: name of the vocabulary in messages.

    Raises:
      InputError: if an id belongs to another token, or leaves a gap.
    """
    known = set(vocab)
    for id, rules in _by_id(decoder).items():
        name = rules["content"]
        if id < len(vocab) and vocab[id] == name:
            continue
        if id != len(vocab) or name in known:
            there = f"is {vocab[id]!r}" if id < len(vocab) else "leaves a gap"
            if name in known:
                there = f"already has the id {vocab.index(name)}"
            what = repr(name) if name in known else str(id)
            raise InputError(
                f"added_tokens_decoder must agree with the ids of {source} and continue them "
                f"without gaps, the next one being {len(vocab)}, but it gives {id} to {name!r}, "
                f"and {what} {there}; correct the id, or use the files of one and the same folder"
            )
        vocab.append(name)
        known.add(name)
    for token in additional:
        name = name_of("additional_special_tokens", token)
        if name not in known:
            vocab.append(name)
            known.add(name)


def collect(
    ids: Mapping[str, int],
    roles: Mapping[str, str | Mapping],
    decoder: Mapping | None,
    additional: Sequence,
    normalizes: bool,
) -> tuple[AddedToken, ...]:
    """Merge the arguments about tokens, and return all added tokens in order of ids.

    Args:
      ids: ids of the whole vocabulary.
      roles: special tokens by the arguments that name them.
      decoder, additional: as for `extend`, which must have been called before.
      normalizes: whether tokens that are not special match normalized text unless their rules say
        otherwise, as in Hugging Face's tokenizers.
    """
    merged = {rules["content"]: {"special": False, **rules} for rules in _by_id(decoder).values()}
    specials = [*roles.items(), *(("additional_special_tokens", token) for token in additional)]
    for argument, token in specials:
        rules = _rules(argument, token)
        name = rules["content"]
        merged[name] = merged.get(name, {}) | rules | {"special": True}
    tokens = []
    for name, rules in merged.items():
        rules = {"normalized": normalizes and not rules["special"]} | rules
        tokens.append(AddedToken(id=ids[name], **rules))
    return tuple(sorted(tokens, key=lambda token: token.id))


def as_decoder(tokens: Sequence[AddedToken]) -> dict[str, dict]:
    """Return these tokens as the argument `added_tokens_decoder`, in the form that is stored."""
    result = {}
    for token in tokens:
        rules = dataclasses.asdict(token)
        result[str(rules.pop("id"))] = rules
    return result


def _by_id(decoder: Any) -> dict[int, dict]:
    if not isinstance(decoder, Mapping | None):
        raise InputError(
            f"added_tokens_decoder must be a dict of tokens by their ids, was {decoder!r}"
        )
    result = {}
    for id, token in (decoder or {}).items():
        if not str(id).isdecimal():
            raise InputError(f"added_tokens_decoder must have ids as keys, but one was {id!r}")
        result[int(id)] = _rules(f"added_tokens_decoder[{id}]", token)
    return dict(sorted(result.items()))


def _rules(argument: str, token: Any) -> dict[str, Any]:
    """Return a token's name as `content`, and those of its rules that are stated."""
    if isinstance(token, AddedToken):
        token = dataclasses.asdict(token)
    rules = {"content": token} if isinstance(token, str) else token
    if not isinstance(rules, Mapping) or not isinstance(rules.get("content"), str):
        raise InputError(
            f"{argument} must be the name of a token, or a dict with its name as `content`, was "
            f"{token!r}"
        )
    if not rules["content"]:
        raise InputError(f"{argument} must be the name of a token, was empty")
    argument_checks.text(argument, rules["content"])
    for name, value in rules.items():
        if name not in _IGNORED and (name not in _FLAGS or not isinstance(value, bool)):
            raise InputError(
                f"{argument} must have true or false for {', '.join(_FLAGS)} and no other keys, "
                f"but it has {name}={value!r}"
            )
    return {name: rules[name] for name in ("content", *_FLAGS) if name in rules}
