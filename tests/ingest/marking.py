"""Payloads with a marker in place of free text: in one string after the other, in all of them, and in additional
members."""

import copy
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

MARKER = "Zorblax went quietly home, call 0171 555"
TRACES = (b"zorblax", b"quietly")
"""What is left of the marker wherever any of it is stored, in lower case."""
Path = tuple[str | int, ...]


def in_turn(value: object, spared: AbstractSet[str] = frozenset()) -> Iterator[tuple[str, Any]]:
    """The path and the payload with the marker there: instead of the string, after it, and as somebody's name.
    `spared` are members that may hold what people wrote."""
    for path, text in strings(value, spared):
        for written in (MARKER, f"{text} {MARKER}", f"{MARKER} <ada@example.com>"):
            yield ".".join(map(str, path)), replaced(value, {path: written})


def at_once(value: object, spared: AbstractSet[str] = frozenset()) -> Iterator[tuple[str, Any]]:
    """In all strings, in one string of each, under names of its own at every depth, and as names."""
    found = dict(strings(value, spared))
    yield "everywhere", replaced(value, dict.fromkeys(found, MARKER))
    yield "everywhere but in the first string", replaced(value, dict.fromkeys(list(found)[1:], MARKER))
    yield "beside everything", beside(value)


def strings(value: object, spared: AbstractSet[str] = frozenset(), path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in spared:
                yield from strings(inner, spared, (*path, name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from strings(inner, spared, (*path, index))


def replaced(value: object, texts: dict[Path, str]) -> Any:  # noqa: ANN401 (JSON)
    changed: Any = {"": copy.deepcopy(value)}
    for path, text in texts.items():
        whole: Path = ("", *path)
        node = changed
        for step in whole[:-1]:
            node = node[step]
        node[whole[-1]] = text
    return changed[""]


def beside(value: object) -> Any:  # noqa: ANN401 (JSON)
    more = {MARKER: MARKER, "note": MARKER, "x-goog-note": MARKER, "deep": {"er": [{MARKER: [MARKER]}]}}
    if isinstance(value, dict):
        return {name: beside(inner) for name, inner in value.items()} | more
    return [beside(one) for one in value] if isinstance(value, list | tuple) else value


def is_marked(content: bytes | None) -> bool:
    return any(trace in (content or b"").lower() for trace in TRACES)
