"""Mutated samples of payloads: values, names, shapes and bytes are changed at random."""

import copy
import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from tests.ingest.sources.mutation import ABSURD

MAX_CHANGES = 5
BYTES_SHARE = 0.1
"""Of all payloads: those whose bytes are changed instead of their values."""


def bodies(samples: Sequence[Any], count: int, seed: int) -> Iterator[bytes]:
    """The same for the same numbers. JSON as Python writes it, NaN and infinity included, or what was JSON once."""
    rng, texts = Random(seed), [json.dumps(sample) for sample in samples]
    for _ in range(count):
        text = rng.choice(texts)
        yield _torn(text.encode(), rng) if rng.random() < BYTES_SHARE else _changed(text, rng)


def _changed(text: str, rng: Random) -> bytes:
    holder = [json.loads(text)]
    for _ in range(rng.randrange(MAX_CHANGES)):
        parent, name = _place(holder, rng)
        match rng.randrange(4):
            case 0:
                parent[name] = copy.deepcopy(rng.choice(ABSURD))
            case 1 if isinstance(parent, dict):
                del parent[name]
            case 2:
                parent[name] = rng.choice(([parent[name]], {"object": parent[name]}, str(parent[name])))
            case _:
                parent[name] = rng.choice(("".join(map(chr, rng.choices(range(1, 0xD7FF), k=8))), rng.getrandbits(70)))
    return json.dumps(holder[0]).encode()


def _place(holder: list[Any], rng: Random) -> tuple[Any, Any]:
    """Each level is as likely as the next one."""
    parent: Any = holder
    name: Any = 0
    while isinstance(inner := parent[name], dict | list) and inner and rng.random() < 0.75:
        parent, name = inner, rng.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
    return parent, name


def _torn(body: bytes, rng: Random) -> bytes:
    begin, end = sorted((rng.randrange(len(body) + 1), rng.randrange(len(body) + 1)))
    match rng.randrange(4):
        case 0:
            return body[:begin]
        case 1:
            return body[:begin] + body[end:]
        case 2:
            return body[:begin] + rng.randbytes(3) + body[begin:]
        case _:
            return body[:end] + body[begin:]
