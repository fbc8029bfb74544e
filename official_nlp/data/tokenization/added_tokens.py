"""Tokens that are looked for in a text before it is cut into words: special ones and others."""

import dataclasses
from collections.abc import Mapping, Sequence

from official_nlp.errors import InputError

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
# What Hugging Face's files put beside them.
_PASSED_OVER = {"content", "id", "__type"}


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """A token that stands for itself wherever it is met in a text.

    Attributes:
      id: its place in the vocabulary.
      content: its name, which is what is looked for.
      special: it carries no text: `decode` can leave it out, and `encode_ids` takes it for text.
      single_word: it is met only where no letter, digit or underscore touches it.
      lstrip, rstrip: white space before it, or behind it, belongs to it.
      normalized: it is looked for in the text after case and accents were treated; else in the
        text as it was given.
    """

    id: int
    content: str
    special: bool = True
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False


def name_of(argument: str, token: str | Mapping) -> str:
    """The name of a token given bare, or as Hugging Face's files have it, a dict of rules."""
    return _rules(argument, token)["content"]


def extend(vocab: list[str], decoder: Mapping | None, additional: Sequence, source: str):
    """Appends to a vocabulary the tokens that come behind it.

    Args:
      vocab: the tokens of the file; changed.
      decoder: as the argument `added_tokens_decoder` of the tokenizer.
      additional: as its argument `additional_special_tokens`.
      source: what messages call the vocabulary.

    Raises:
      InputError: an id that is another token's, or leaves a gap.
    """
    known = set(vocab)
    for id, rules in _by_id(decoder).items():
        name = rules["content"]
        if id < len(vocab) and vocab[id] == name:
            continue
        if id != len(vocab) or name in known:
            there = repr(vocab[id]) if id < len(vocab) else f"behind {len(vocab)} tokens"
            raise InputError(
                f"added_tokens_decoder must number the tokens of {source} as they are, or on from "
                f"them, but it gives {id} to {name!r}, and {id} is {there}; take it from the "
                "folder that the vocabulary comes from"
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
    roles: Mapping,
    decoder: Mapping | None,
    additional: Sequence,
    normalizes: bool,
) -> tuple[AddedToken, ...]:
    """Puts together what is said about tokens, in order of their ids.

    Args:
      ids: of the whole vocabulary.
      roles: special tokens by the arguments that name them.
      decoder, additional: as for `extend`, which went before.
      normalizes: tokens that are not special are looked for in the treated text if nothing else is
        said, as in Hugging Face's; else all in the text as it is given.
    """
    said = {rules["content"]: {"special": False, **rules} for rules in _by_id(decoder).values()}
    specials = [*roles.items(), *(("additional_special_tokens", token) for token in additional)]
    for argument, token in specials:
        rules = _rules(argument, token)
        name = rules["content"]
        said[name] = said.get(name, {}) | rules | {"special": True}
    tokens = []
    for name, rules in said.items():
        rules = {"normalized": normalizes and not rules["special"]} | rules
        tokens.append(AddedToken(id=ids[name], **rules))
    return tuple(sorted(tokens, key=lambda token: token.id))


def as_decoder(tokens: Sequence[AddedToken]) -> dict[str, dict]:
    """The argument `added_tokens_decoder` that would say these, as it is stored."""
    result = {}
    for token in tokens:
        rules = dataclasses.asdict(token)
        result[str(rules.pop("id"))] = rules
    return result


def _by_id(decoder: Mapping | None) -> dict[int, dict]:
    if not isinstance(decoder, Mapping | None):
        raise InputError(
            f"added_tokens_decoder must be a dict of tokens by their ids, was {decoder!r}"
        )
    result = {}
    for id, token in (decoder or {}).items():
        if not str(id).isdecimal():
            raise InputError(f"added_tokens_decoder must have ids for keys, but one was {id!r}")
        result[int(id)] = _rules(f"added_tokens_decoder[{id}]", token)
    return dict(sorted(result.items()))


def _rules(argument: str, token) -> dict:
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
    for name, value in rules.items():
        if name not in _PASSED_OVER and (name not in _FLAGS or not isinstance(value, bool)):
            raise InputError(
                f"{argument} must have true or false for {', '.join(_FLAGS)} and nothing else, but "
                f"it has {name}={value!r}"
            )
    return {name: rules[name] for name in ("content", *_FLAGS) if name in rules}
