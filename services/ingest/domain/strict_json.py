"""JSON without its traps: UTF-8 only, no name twice, no NaN or infinity, no half characters, no bottomless nesting."""

import json
import math
import re
from dataclasses import dataclass

from services.ingest.domain.verdict import Rejected, rejected

LONGEST_NAME_SHOWN = 80
# A member such as `"at":1234,` has some ten bytes. Reading a mebibyte of `[],[],[]` takes 160 ms in one piece, during
# which no other thread runs; what is this dense describes nothing of ours.
BYTES_PER_VALUE = 8
# Small texts may be as dense as they like: reading so many values takes a millisecond.
FREE_VALUES = 10_000

_MEMBER = re.compile(r"[A-Za-z0-9_.$-]{1,64}")


@dataclass(frozen=True)
class Parsed:
    value: object


def read_json(raw: bytes) -> Parsed | Rejected:
    """One JSON value, or Rejected("malformed") that says where it breaks. Takes time in proportion to the length."""
    if _is_too_dense(raw):
        return _malformed(
            f"holds more than one value for {BYTES_PER_VALUE} bytes: this is no text that describes anything"
        )
    try:
        # RFC 8259 8.1: nobody shall write a byte order mark, and everybody may read over it.
        text = raw.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=_named_once, parse_constant=_no_number, parse_float=_finite_number)
        if "\\u" in text:
            _whole_characters(value)
    except UnicodeDecodeError as broken:
        return _malformed(f"is not UTF-8: {broken.reason} at byte {broken.start}")
    except RecursionError:
        return _malformed("is nested too deeply")
    except _QuotingError as broken:
        return rejected("malformed", "", f"is not valid JSON: {broken}", f"is not valid JSON: {broken.stored}")
    except ValueError as broken:
        return _malformed(f"is not valid JSON: {str(broken).partition(';')[0]}")
    return Parsed(value)


class _QuotingError(ValueError):
    """`stored`: the same without what was sent."""

    def __init__(self, words: str, stored: str) -> None:
        super().__init__(words)
        self.stored = stored


def _malformed(words: str) -> Rejected:
    return rejected("malformed", "", words)


def _is_too_dense(raw: bytes) -> bool:
    """Before anything is built. What is opened and never closed is told apart: reading ends where it is too deep."""
    allowed = FREE_VALUES + len(raw) // BYTES_PER_VALUE
    # None can hold more values than bytes.
    return len(raw) > FREE_VALUES and raw.count(b",") + raw.count(b"]") + raw.count(b"}") > allowed


def _named_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen = set[str]()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _QuotingError(
            f"the name {twice[:LONGEST_NAME_SHOWN]!r} appears twice in one object", "a name appears twice in one object"
        )
    return members


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _finite_number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _QuotingError(f"{text[:LONGEST_NAME_SHOWN]} is too large a number", "a number is too large")
    return number


def _whole_characters(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as half:
        raise ValueError("it holds half a character (a lone surrogate)") from half
