"""Lines of CloudEvents as rows of facts in flat arrays, some microseconds each."""

import hashlib
from array import array
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np

from services.scoring.domain.bounds import NONE, UNSET
from services.scoring.domain.contents import reference
from services.scoring.domain.kinds import EVIDENCE, GOALS, KIND_OF_TYPE, SLOTS, Kind, slots_of
from services.scoring.fast.payloads import READINGS, Retracted, micros

RETRACTED = "mentoring.event.retracted.v1"
Whole = np.ndarray[Any, np.dtype[np.int64]]


class LineError(Exception):
    """A line, counted from 1, that is no event."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line, self.reason = line, reason


class Event(msgspec.Struct):
    """What scoring reads of an event's envelope."""

    type: str
    source: str
    id: str
    time: datetime
    data: msgspec.Raw
    tenant: str = ""
    subject: str = ""


class Rows(NamedTuple):
    """Facts as they come, one row each; `pair` is a place in `names`. `uid`: 16 bytes each, one after another."""

    names: list[str]
    pair: Whole
    time: Whole
    kind: Whole
    uid: bytes
    slot: Whole
    position: Whole
    marked: Whole
    first: Whole
    second: Whole
    ref: Whole
    value: Whole
    evidence: Whole


_decode = msgspec.json.Decoder(Event).decode
_retraction = msgspec.json.Decoder(Retracted).decode


def rows_of(lines: Iterable[bytes | str], begin: int = 0) -> Rows:
    """The lines of a log from position `begin` on. Blank ones, and events that are no facts, are passed over.
    Raises LineError."""
    pairs: dict[str, int] = {}
    numbers = array("q")
    uids: list[bytes] = []
    position = begin - 1
    for position, line in enumerate(lines, begin):
        try:
            row = _row(line, position) if line.strip() else None
        except (msgspec.DecodeError, KeyError, ZeroDivisionError) as invalid:
            raise LineError(position - begin + 1, str(invalid)) from invalid
        if row is not None:
            name, uid, *rest = row
            numbers.extend((pairs.setdefault(name, len(pairs)), *rest))
            uids.append(uid)
    columns = np.array(numbers, dtype=np.int64).reshape(len(uids), 11).T
    pair, time, kind, slot, *others = (np.ascontiguousarray(column) for column in columns)
    return Rows(list(pairs), pair, time, kind, b"".join(uids), slot, *others)


def _row(line: bytes | str, position: int) -> tuple[Any, ...] | None:
    event = _decode(line)
    name = f"{event.tenant}/{event.subject}"
    if event.type == RETRACTED:
        return _mark(name, _retraction(event.data))
    reading = READINGS.get(event.type)
    if reading is None:
        return None
    data = reading.decode(event.data)
    numbers = reading.numbers(data)
    if numbers is None:
        return None
    slot, first, second, ref, value = numbers
    uid, time, evidence = _uid(event.source, event.id), micros(event.time), EVIDENCE[data.evidence]
    return name, uid, time, reading.kind, slot, position, 0, first, second, ref, value, evidence


def _mark(name: str, target: Retracted) -> tuple[Any, ...] | None:
    kind = KIND_OF_TYPE.get(target.type)
    if kind is None or kind == Kind.ERASED:
        return None
    slot = reference(target.slot) if kind in GOALS else SLOTS.get(target.slot)
    if slot is None or (kind not in GOALS and slot not in slots_of(kind)):
        return None
    uid = _uid(target.source, target.id)
    return name, uid, micros(target.time), kind.value, slot, NONE, 1, UNSET, UNSET, 0, 0, 0


def _uid(source: str, identity: str) -> bytes:
    return hashlib.blake2b(f"{source}\0{identity}".encode(), digest_size=16).digest()
