"""What people write to each other is cut off before anything is stored."""

import json
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from services.ingest.domain.strict_json import read_json
from services.ingest.domain.verdict import Rejected, rejected


@dataclass(frozen=True)
class Cut:
    payload: bytes
    was_cut: bool


def cut_text(payload: bytes, names: AbstractSet[str]) -> Cut | Rejected:
    """Empties every text, list and object, at any depth, that bears one of the names. A payload without any stays the
    same bytes. Rejected: it is no JSON, so that what in it is free text cannot be told."""
    if not names:
        return Cut(payload, was_cut=False)
    parsed = read_json(payload)
    if isinstance(parsed, Rejected):
        return parsed
    if not _emptied(parsed.value, names):
        return Cut(payload, was_cut=False)
    try:
        return Cut(json.dumps(parsed.value, ensure_ascii=False).encode(), was_cut=True)
    except RecursionError:
        return rejected("malformed", "", "is nested too deeply")


def _emptied(value: object, names: AbstractSet[str]) -> bool:
    """Changes the value in place; whether there was anything to empty."""
    # A list of what is still to be seen instead of recursion: senders decide how deep it goes.
    found, waiting = False, [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            written = [name for name, inner in node.items() if name in names and _is_written(inner)]
            node.update({name: type(node[name])() for name in written})
            found = found or bool(written)
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return found


def _is_written(value: object) -> bool:
    return isinstance(value, str | list | dict) and bool(value)
