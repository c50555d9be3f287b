"""Whether stored rows are the truth: both told in the same words, hashed, and the first difference named."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from struct import pack
from typing import Any, NamedTuple

from pydantic_core import to_json

from schemas.primitives import from_micros, to_rfc3339
from services.scoring.domain.bounds import UNSET, millionths
from services.scoring.domain.evaluation import PARTS
from services.scoring.domain.row import HistoryRow
from services.scoring.domain.serialization import UNCALIBRATED, told_columns


class ComparableRow(NamedTuple):
    """What is compared of a row: all of it but id, position, trigger, recordedtime and mode. Numbers in millionths. Of
    parts and terms a column each, in the order in which they are computed; `before` as (as_of, health, band, risk)."""

    causes: tuple[str, ...]
    health: int
    band: str
    caps: tuple[str, ...]
    risk: int
    names: tuple[str, ...]
    values: tuple[int, ...]
    weights: tuple[int, ...]
    contributions: tuple[int, ...]
    deltas: tuple[int, ...]
    before: tuple[int, int, str, int] | None
    term_names: tuple[str, ...]
    effects: tuple[int, ...]
    confidence: int
    trend: int
    status: str
    started: int
    cadence: int
    last_contact: int | None
    next_session: int | None
    open_requests: tuple[str, ...]
    profile: str
    calibration: str
    sources: tuple[str, ...]


@dataclass
class Verdict:
    """Grows relationship by relationship, in one order. The hashes are equal if and only if the statements are."""

    rows: int = 0
    stored_rows: int = 0
    first_difference: str | None = None
    _true: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _stored: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def equal(self) -> bool:
        return self.true_hash == self.stored_hash

    def deny(self, relationship: str, said: str) -> None:
        """What all its rows in the table say alike is not the truth."""
        self._stored.update(f"{relationship}\0{said}".encode())
        self.first_difference = self.first_difference or f"{relationship}: {said}"

    @property
    def true_hash(self) -> str:
        return self._true.hexdigest()

    @property
    def stored_hash(self) -> str:
        return self._stored.hexdigest()

    def add(self, relationship: str, true: Mapping[int, ComparableRow], stored: Mapping[int, ComparableRow]) -> None:
        self.rows += len(true)
        self.stored_rows += len(stored)
        computed = digest(relationship, true)
        self._true.update(computed)
        if true == stored:
            self._stored.update(computed)
            return
        self._stored.update(digest(relationship, stored))
        if self.first_difference is None:
            self.first_difference = _difference(relationship, true, stored)


def comparable(row: HistoryRow) -> ComparableRow:
    # Everything by place: to name the fields takes four times as long.
    causes, now, before, slope, status, started, cadence, contact, session, requests, sources, profile, made_by, _ = row
    health, risk, band, now_names, *_, term_names, effects, confidence, caps = now
    names, values, weights, contributions, deltas = told_columns(row)
    of_parts, told = _in_millionths(weights), None
    if before is not None:
        at, then = before
        told = (at, then.health, then.band, then.risk)
        if len(names) > len(now_names):
            # What has gone is told behind all others.
            names, values, of_parts, contributions, deltas = map(
                _picker(names), (names, values, of_parts, contributions, deltas)
            )
    return ComparableRow(
        *(causes, health, band, caps, risk, names, values, of_parts, contributions, deltas, told, term_names, effects),
        *(confidence, slope, status, started, millionths(cadence), contact, session, requests, profile),
        made_by or UNCALIBRATED,
        sources,
    )


def in_order(names: Iterable[str], of_all: Sequence[str]) -> tuple[str, ...]:
    """`of_all`: evaluation.PARTS or TERMS."""
    return tuple(sorted(names, key=lambda name: (of_all.index(name) if name in of_all else len(of_all), name)))


def _picker(names: tuple[str, ...]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Puts a column in the order of PARTS; there are two parts at the least."""
    return itemgetter(*map(names.index, in_order(names, PARTS)))


@lru_cache(1 << 10)
def _in_millionths(weights: tuple[float, ...]) -> tuple[int, ...]:
    """Remembered: the same for most rows."""
    return tuple(map(millionths, weights))


def digest(relationship: str, statements: Mapping[int, ComparableRow]) -> bytes:
    """Of the rows of one relationship; empty where it has none. Words, which most rows share, as JSON, numbers as
    integers of 64 bits: to make JSON of all would take most of the time of whoever computes rows to compare them."""
    found = hashlib.sha256(f"{relationship}\0".encode())
    for as_of, row in sorted(statements.items()):
        causes, health, band, caps, risk, names, values, weights, contributions, deltas, before, *_ = row
        contact, session = row.last_contact, row.next_session
        at, was_healthy, was_in, was_at_risk = before or (UNSET, UNSET, "", UNSET)
        numbers = [as_of, health, risk, row.confidence, row.trend, row.started, row.cadence]
        numbers += (UNSET if contact is None else contact, UNSET if session is None else session)
        numbers += (at, was_healthy, was_at_risk, *values, *weights, *contributions, *deltas, *row.effects)
        labels = (was_in, row.term_names, row.status, row.open_requests, row.profile, row.calibration, row.sources)
        found.update(_words(causes, band, caps, names, *labels))
        found.update(pack(f"<{len(numbers)}q", *numbers))
    return found.digest() if statements else b""


@lru_cache(1 << 12)
def _words(*said: str | tuple[str, ...]) -> bytes:
    return to_json(said) + b"\n"


def combined(digests: Mapping[str, bytes]) -> str:
    """The hash of a verdict on these relationships, in whatever order they were computed."""
    found = hashlib.sha256()
    for relationship in sorted(digests):
        found.update(digests[relationship])
    return found.hexdigest()


def _difference(
    relationship: str, true: Mapping[int, ComparableRow], stored: Mapping[int, ComparableRow]
) -> str | None:
    for as_of in sorted(true.keys() | stored.keys()):
        ours, theirs = true.get(as_of), stored.get(as_of)
        if ours == theirs:
            continue
        place = f"{relationship} at {to_rfc3339(from_micros(as_of))}"
        if ours is None or theirs is None:
            return f"{place}: the row is {'missing from the table' if theirs is None else 'not part of the truth'}"
        return "; ".join(
            [place, *(_field(n, a, b) for n, a, b in zip(ComparableRow._fields, ours, theirs, strict=True) if a != b)]
        )
    return None


def _field(name: str, true: object, stored: object) -> str:
    return f"{name} is {stored} in the table, {true} in truth"
