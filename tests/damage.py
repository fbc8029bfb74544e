"""Damage files as disks, transfers and hostile senders do, repeatably by a seed.

Tests record how many inputs they tried as the property `TRIED`; the end of a run prints the sum.
"""

import copy
import json
import random
from typing import Any

TRIED = "odd or damaged inputs"

# Values of every type of JSON, with those on which programs stumble.
_VALUES = (
    None, True, "x", "", "a" * 1000, "\ud800", "a\nb", "[MASK]", -1, 0, 1, 10**12, 10**400, 1e400,
    0.5, [], {}, [[]], ["x"], {"content": "[MASK]"}, {"content": 5}, {"type": "x"},
)  # fmt: skip


def bytes_of(content: bytes, seed: int) -> bytes:
    """Return the content with flipped, missing, repeated, exchanged or inserted bytes."""
    draw = random.Random(seed)
    damaged = bytearray(content)
    kind = draw.choice(["flip", "flip", "flip ends", "cut", "drop", "repeat", "exchange", "insert"])
    size = len(damaged)
    start = draw.randrange(size)
    end = min(size, start + draw.randint(1, 64))
    if kind == "flip":
        for _ in range(draw.randint(1, 8)):
            damaged[draw.randrange(size)] = draw.randrange(256)
    elif kind == "flip ends":  # where formats keep their lengths and offsets
        for _ in range(draw.randint(1, 4)):
            place = draw.randrange(min(size, 300))
            damaged[draw.choice([place, size - 1 - place])] ^= 1 << draw.randrange(8)
    elif kind == "cut":
        del damaged[start:]
    elif kind == "drop":
        del damaged[start:end]
    elif kind == "repeat":
        damaged[start:start] = damaged[start:end] * draw.randint(1, 20)
    elif kind == "exchange":
        other = draw.randrange(size)
        part = damaged[start:end]
        damaged[start:end] = damaged[other : other + len(part)]
        damaged[other : other + len(part)] = part
    else:
        damaged[start:start] = bytes(draw.randrange(256) for _ in range(draw.randint(1, 64)))
    return bytes(damaged)


def json_of(content: bytes, seed: int) -> bytes:
    """Return a JSON file in which a value or two is missing or of another type."""
    draw = random.Random(seed)
    value = json.loads(content)
    for _ in range(draw.randint(1, 2)):
        value = _with_another_value(value, draw)
    return json.dumps(value).encode()


def either(content: bytes, seed: int) -> bytes:
    """Return a JSON file with damaged bytes, or, more often, with other values."""
    return bytes_of(content, seed) if seed % 4 == 0 else json_of(content, seed)


def model_of(content: bytes, seed: int) -> bytes:
    """Return a SentencePiece model with damaged bytes, or with fields that contradict each other.

    Damaged bytes rarely parse, so that they alone would not test what follows.
    """
    from sentencepiece import sentencepiece_model_pb2

    if seed % 3 == 0:
        return bytes_of(content, seed)
    draw = random.Random(seed)
    model = sentencepiece_model_pb2.ModelProto.FromString(content)
    for _ in range(draw.randint(1, 3)):
        kind, piece = draw.randrange(6), draw.choice(model.pieces)
        if kind == 0:
            piece.type = draw.randint(1, 6)
        elif kind == 1:
            piece.piece = draw.choice(["", "\u2581", "<0xZZ>", "a" * 5000, "\n", "[MASK]"])
        elif kind == 2:
            piece.score = draw.choice([float("nan"), float("inf"), 1e38])
        elif kind == 3:
            model.trainer_spec.model_type = draw.randint(1, 4)
        elif kind == 4:
            model.trainer_spec.byte_fallback = True
        else:
            table = bytes_of(model.normalizer_spec.precompiled_charsmap or bytes(40), seed)
            model.normalizer_spec.precompiled_charsmap = table
    return model.SerializeToString()


def _with_another_value(value: Any, draw: random.Random) -> Any:
    value = copy.deepcopy(value)
    parent, key, found = None, None, value
    # Every step inwards is likelier than the end, so that deep values are changed too.
    while isinstance(found, dict | list) and found and (parent is None or draw.random() < 0.8):
        key = draw.choice(list(found) if isinstance(found, dict) else range(len(found)))
        parent, found = found, found[key]
    if parent is None:
        return draw.choice(_VALUES)
    if draw.random() < 0.2:
        del parent[key]
    else:
        parent[key] = copy.deepcopy(draw.choice(_VALUES))
    return value
