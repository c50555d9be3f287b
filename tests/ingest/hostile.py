"""Hostile records, with any value, key, headers and time."""

import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from tests.foreign import RawName

# Each has stopped a parser of somebody.
CONTENT_TYPES = (
    "application/json; charset*=a; charset*0=b",
    "application/json; charset*=idna''%ff",
    'application/json; charset="',
    "application/json;" + ";" * 900,
    "application/cloudevents+json; charset*1=a",
    "multipart/mixed; boundary*=idna''%ff",
    'multipart/mixed; boundary="',
    "text/csv; charset=\x00",
    "",
    "/",
)
NAMES = (
    "content-type",
    "Content-Type",
    "connection",
    "ce_id",
    "ce_source",
    "ce_",
    "ce_\u0130",
    "text_cut",
    "",
    "x" * 5_000,
)
VALUES = (
    b"",
    b"\xff\xfe",
    b"\x00",
    b"1",
    b"x" * 20_000,
    "ü\u202e".encode(),
    b"zoom_acme",
    b"one",
    b"urn:test:calendar",
)
KEYS = (None, b"", b"\x00", b"\xff\xfe", b"/", b"acme/", b"acme/rel-1", b"a\x00b/c", b"k" * 700_000, b"\x00clock")
TIMES = (0, 1, 10**11, 1_774_000_000_000)
BODIES = (
    None,
    b"",
    b"\xff\xfe",
    b"\x00",
    b"null",
    b"[]",
    b"{" * 100_000,
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"1" * 5_000,
    b'{"id":' + b"9" * 5_000 + b"}",
    b"\xef\xbb\xbf{}",
    json.dumps("\ud800").encode(),
    b"--x\r\nContent-Type: application/json; charset*=a\r\n\r\n{}\r\n--x--",
)
Headers = Sequence[tuple[str, bytes]]


class Hostile(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


def hostile(samples: Sequence[bytes], count: int, seed: int) -> Iterator[Hostile]:
    """The same for the same numbers; each of the above at least once where there are enough. The last has 300,000
    headers of nothing."""
    rng = Random(seed)
    for number in range(count):
        key = KEYS[number % len(KEYS)] if number < len(KEYS) else rng.choice(KEYS[:-2])
        value = rng.choice((*BODIES, *samples))
        yield Hostile(
            key,
            # kafka-python sends no record that has neither.
            b"" if key is None and value is None else value,
            _headers(rng, CONTENT_TYPES[number % len(CONTENT_TYPES)]),
            rng.choice(TIMES),
        )
    yield Hostile(b"a key", b"{}", [("", b"")] * 300_000, 1)


def _headers(rng: Random, content_type: str) -> Headers:
    found = [("content-type", content_type.encode())] if rng.random() < 0.8 else []
    found += [(_name(rng), rng.choice(VALUES)) for _ in range(rng.randrange(6))]
    if rng.random() < 0.5:
        found.append(("connection", rng.choice((b"zoom_acme", b"hr_acme", b"one", b"nobody"))))
    rng.shuffle(found)
    return found


def _name(rng: Random) -> str:
    return RawName("".join(map(chr, rng.choices(range(256), k=5)))) if rng.random() < 0.3 else rng.choice(NAMES)
