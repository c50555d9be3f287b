"""Readers of `mentoring.scores`: the warehouse's tables, the row that notify shows, a verdict."""

from collections.abc import Mapping, Sequence
from struct import pack
from typing import NamedTuple

from services.scoring.domain.bounds import UNSET
from services.scoring.domain.partition import Emission
from services.scoring.domain.row import HistoryRow
from services.scoring.domain.verification import (
    ComparableRow,
    RowsDigest,
    Verdict,
    comparable,
    difference,
    digest_of,
    words,
)

Table = Mapping[tuple[str, int], HistoryRow]
"""By relationship and instant."""


class ScoreRecord(NamedTuple):
    """A record of the topic."""

    emission: Emission
    heal: bool = False

    @property
    def key(self) -> tuple[str, int]:
        return self.emission.relationship, self.emission.as_of

    @property
    def version(self) -> tuple[int, bool]:
        return self.emission.position, self.heal


def table(scores: Sequence[ScoreRecord]) -> Table:
    """The warehouse's rows: for each instant the row of the greatest version, of equal ones the last."""
    kept: dict[tuple[str, int], ScoreRecord] = {}
    for record in scores:
        newest = kept.get(record.key)
        if newest is None or record.version >= newest.version:
            kept[record.key] = record
    return {key: record.emission.row for key, record in kept.items() if record.emission.row is not None}


def relationship_state(scores: Sequence[ScoreRecord]) -> dict[str, tuple[int, HistoryRow]]:
    """The newest row of each relationship that the table has."""
    return {name: (at, row) for (name, at), row in sorted(table(scores).items(), key=lambda item: item[0])}


def newest_shown(scores: Sequence[ScoreRecord]) -> dict[str, tuple[int, HistoryRow | None]]:
    """The row that notify shows: the last `score.changed` that decided. One decides if its position and instant are
    above those of the last one; in mode heal if its position is not below and no later row stands."""
    marks: dict[str, tuple[int, int]] = {}
    shown: dict[str, tuple[int, HistoryRow | None]] = {}
    latest: dict[tuple[str, int], ScoreRecord] = {}
    for record in scores:
        (name, _, at, position, row, changed, _), heal = record
        if record.key not in latest or record.version >= latest[record.key].version:
            latest[record.key] = record
        last = marks.get(name, (-1, -1))
        if changed and ((position, at) >= last or (heal and position >= last[0] and not _is_overtaken(record, latest))):
            marks[name], shown[name] = max(last, (position, at)), (at, row)
    return shown


def rows_of(found: Table, relationship: str) -> dict[int, HistoryRow]:
    return {at: row for (name, at), row in sorted(found.items()) if name == relationship}


def statements(found: Table, relationship: str, upto: int) -> dict[int, ComparableRow]:
    """As a heal reads them from the table."""
    return {at: comparable(row) for at, row in rows_of(found, relationship).items() if at <= upto}


def _is_overtaken(record: ScoreRecord, latest: Mapping[tuple[str, int], ScoreRecord]) -> bool:
    name, at = record.key
    return any(other.emission.row is not None and key[0] == name and key[1] > at for key, other in latest.items())


def digest(relationship: str, statements: Mapping[int, ComparableRow]) -> bytes:
    """verification.digest_of, computed row by row."""
    texts, numbers = list[bytes](), list[int]()
    for as_of, row in sorted(statements.items()):
        causes, health, band, caps, risk, names, values, weights, contributions, deltas, before, *_ = row
        contact, session = row.last_contact, row.next_session
        at, was_healthy, was_in, was_at_risk = before or (UNSET, UNSET, "", UNSET)
        numbers += (as_of, health, risk, row.confidence, row.trend, row.started, row.cadence)
        numbers += (UNSET if contact is None else contact, UNSET if session is None else session)
        numbers += (at, was_healthy, was_at_risk, *values, *weights, *contributions, *deltas, *row.effects)
        labels = (was_in, row.term_names, row.status, row.open_requests, row.profile, row.calibration, row.sources)
        texts.append(words(causes, band, caps, names, *labels))
    return digest_of(relationship, texts, pack(f"<{len(numbers)}q", *numbers)).digest


def verdict(relationship: str, true: Mapping[int, ComparableRow], stored: Mapping[int, ComparableRow]) -> Verdict:
    found = Verdict(first_difference=difference(relationship, true, stored))
    found.add(*(RowsDigest(len(rows), digest(relationship, rows)) for rows in (true, stored)))
    return found
