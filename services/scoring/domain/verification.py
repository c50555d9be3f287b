"""Whether stored rows are the truth: both told in the same words, hashed, and the first difference named."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from schemas.primitives import from_micros, to_rfc3339
from services.scoring.domain.bounds import millionths
from services.scoring.domain.evaluation import PARTS
from services.scoring.domain.row import HistoryRow
from services.scoring.domain.serialization import UNCALIBRATED, PartColumns, part_columns


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


class RowsDigest(NamedTuple):
    """Of the rows of one relationship; `digest` is empty where there are none."""

    rows: int
    digest: bytes


NO_ROWS = RowsDigest(0, b"")


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

    def add_mismatch(self, relationship: str, texts: str) -> None:
        """What all its rows in the table say alike is not the truth."""
        self._stored.update(f"{relationship}\0{texts}".encode())
        self.first_difference = self.first_difference or f"{relationship}: {texts}"

    @property
    def true_hash(self) -> str:
        return self._true.hexdigest()

    @property
    def stored_hash(self) -> str:
        return self._stored.hexdigest()

    def add(self, true: RowsDigest, stored: RowsDigest) -> None:
        self.rows += true.rows
        self.stored_rows += stored.rows
        self._true.update(true.digest)
        self._stored.update(stored.digest)


def comparable(row: HistoryRow) -> ComparableRow:
    # Everything by place: to name the fields takes four times as long.
    causes, now, before, slope, status, started, cadence, contact, session, requests, sources, profile, made_by, _ = row
    health, risk, band, now_names, *_, term_names, effects, confidence, caps = now
    parts, previous = part_columns(row), None
    if before is not None:
        at, then = before
        previous = (at, then.health, then.band, then.risk)
        if len(parts.names) > len(now_names):
            # What has gone is told behind all others.
            in_turn = sorted(zip(*parts, strict=True), key=lambda part: PARTS.index(part[0]))
            parts = PartColumns(*zip(*in_turn, strict=True))
    names, values, weights, contributions, deltas = parts
    of_parts = (names, values, tuple(map(millionths, weights)), contributions, deltas)
    return ComparableRow(
        *(causes, health, band, caps, risk, *of_parts, previous, term_names, effects),
        *(confidence, slope, status, started, millionths(cadence), contact, session, requests, profile),
        made_by or UNCALIBRATED,
        sources,
    )


def digest_of(relationship: str, texts: Sequence[bytes], numbers: bytes) -> RowsDigest:
    """Equal for equal rows only. `texts`: of each row `words` of its causes, band, caps, parts, of the band before ("":
    there is no row before), of its terms, status, open requests, profile, calibration and sources. `numbers`: of all,
    integers of 64 bits, the least byte first: instant, health, risk, confidence, trend, start, cadence, last contact,
    next session, instant, health and risk before (UNSET for none); values, weights, contributions and deltas of the
    parts, and the terms. How many these are its words say."""
    if not texts:
        return NO_ROWS
    # Where there is no word and no length of one, numbers begin.
    found = hashlib.sha256(b"".join([relationship.encode(), b"\0", *texts, b"\0", numbers]))
    return RowsDigest(len(texts), found.digest())


@lru_cache(1 << 12)
def words(*texts: str | tuple[str, ...]) -> bytes:
    """Each with its length, and where there are several first how many: so that a database can say the same, and no two
    rows share it. Remembered: most rows have the same words."""
    flat = [word for one in texts for word in ((one,) if isinstance(one, str) else (str(len(one)), *one))]
    return b"".join([b"%d:%b" % (len(word), word) for word in map(str.encode, flat)])


def combined(digests: Mapping[str, bytes]) -> str:
    """The hash of a verdict on these relationships, in whatever order they were computed."""
    found = hashlib.sha256()
    for relationship in sorted(digests):
        found.update(digests[relationship])
    return found.hexdigest()


def difference(relationship: str, true: Mapping[int, ComparableRow], stored: Mapping[int, ComparableRow]) -> str | None:
    for as_of in sorted(true.keys() | stored.keys()):
        ours, theirs = true.get(as_of), stored.get(as_of)
        if ours == theirs:
            continue
        where = f"{relationship} at {to_rfc3339(from_micros(as_of))}"
        if ours is None or theirs is None:
            return f"{where}: the row is {'missing from the table' if theirs is None else 'not part of the truth'}"
        fields = zip(ComparableRow._fields, ours, theirs, strict=True)
        others = (f"{name} is {b} in the table, {a} in truth" for name, a, b in fields if a != b)
        return "; ".join([where, *others])
    return None
