"""Whether stored rows are the truth: both told in the same words, hashed, and the first difference named."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from pydantic_core import to_json

from schemas.primitives import from_micros, to_rfc3339
from services.scoring.domain.bounds import millionths
from services.scoring.domain.row import HistoryRow
from services.scoring.domain.serialization import UNCALIBRATED, told_columns


class ComparableRow(NamedTuple):
    """What is compared of a row: all of it but id, position, trigger, recordedtime and mode. Numbers in millionths,
    `parts` as (name, value, weight, contribution, delta) and `terms` as (name, value) by name, `before` as (as_of,
    health, band, risk)."""

    causes: tuple[str, ...]
    health: int
    band: str
    caps: tuple[str, ...]
    risk: int
    parts: tuple[tuple[str, int, int, int, int], ...]
    before: tuple[int, int, str, int] | None
    terms: tuple[tuple[str, int], ...]
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
    evaluation, before = row.evaluation, row.before
    names, values, weights, shares, deltas = told_columns(row)
    parts, terms = _by_name(names), _by_name(evaluation.term_names)
    told = None
    if before is not None:
        told = (before.at, before.evaluation.health, before.evaluation.band, before.evaluation.risk)
    # By place: to name the fields takes four times as long.
    return ComparableRow(
        row.causes,
        evaluation.health,
        evaluation.band,
        evaluation.caps,
        evaluation.risk,
        tuple(zip(*map(parts, (names, values, _in_millionths(weights), shares, deltas)), strict=True)),
        told,
        tuple(zip(*map(terms, (evaluation.term_names, evaluation.effects)), strict=True)),
        evaluation.confidence,
        row.trend,
        row.status,
        row.started,
        millionths(row.cadence),
        row.last_contact,
        row.next_session,
        row.open_requests,
        row.profile,
        row.calibration or UNCALIBRATED,
        row.sources,
    )


@lru_cache(1 << 10)
def _by_name(names: tuple[str, ...]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Puts a column in the order of the names. Remembered: most rows have the same, and to sort each takes long."""
    return itemgetter(*sorted(range(len(names)), key=names.__getitem__)) if len(names) > 1 else tuple


@lru_cache(1 << 10)
def _in_millionths(weights: tuple[float, ...]) -> tuple[int, ...]:
    """Remembered: the same for most rows."""
    return tuple(map(millionths, weights))


def digest(relationship: str, statements: Mapping[int, ComparableRow]) -> bytes:
    """Of the rows of one relationship; empty where it has none."""
    found = hashlib.sha256()
    for as_of in sorted(statements):
        found.update(to_json([relationship, as_of, *statements[as_of]]) + b"\n")
    return found.digest() if statements else b""


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
