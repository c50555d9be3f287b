"""Whether stored rows are the truth: both in the same comparable form, hashed, with the first difference."""

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
    """The compared content of a row: everything but id, position, trigger, recordedtime and mode. Numbers in
    millionths. Parts and terms are columns, in the order of computation; `before` is (as_of, health, band, risk)."""

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
    """Of the rows of one relationship; `digest` is empty if there are none."""

    rows: int
    digest: bytes


NO_ROWS = RowsDigest(0, b"")


@dataclass
class Verdict:
    """Accumulates relationship by relationship, in one order. The hashes are equal if and only if the comparable rows
    are."""

    rows: int = 0
    stored_rows: int = 0
    first_difference: str | None = None
    _true: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _stored: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def equal(self) -> bool:
        return self.true_hash == self.stored_hash

    def add_mismatch(self, relationship: str, texts: str) -> None:
        """A value that all rows of the relationship share in the table is not the truth."""
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
    # Positional throughout: naming the fields takes four times as long.
    causes, now, before, slope, status, started, cadence, contact, session, requests, sources, profile, made_by, _ = row
    health, risk, band, now_names, *_, term_names, effects, confidence, caps = now
    parts, previous = part_columns(row), None
    if before is not None:
        at, then = before
        previous = (at, then.health, then.band, then.risk)
        if len(parts.names) > len(now_names):
            # Parts that are gone are listed after all others.
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
    """Equal for equal rows only. `texts`: for each row, `words` of its causes, band, caps, parts, the band before ("":
    no row before), its terms, status, open requests, profile, calibration and sources. `numbers`: of all rows, 64 bit
    little-endian integers: instant, health, risk, confidence, trend, start, cadence, last contact, next session, the
    instant, health and risk before (UNSET for none); then values, weights, contributions and deltas of the parts, and
    the terms, as many as the row's texts name."""
    if not texts:
        return NO_ROWS
    # The numbers begin where neither a word nor its length follows.
    found = hashlib.sha256(b"".join([relationship.encode(), b"\0", *texts, b"\0", numbers]))
    return RowsDigest(len(texts), found.digest())


@lru_cache(1 << 12)
def words(*texts: str | tuple[str, ...]) -> bytes:
    """Each word with its length; a tuple is preceded by its count. A database can build the same bytes, and no two rows
    share them. Cached: most rows have the same words."""
    flat = [word for one in texts for word in ((one,) if isinstance(one, str) else (str(len(one)), *one))]
    return b"".join([b"%d:%b" % (len(word), word) for word in map(str.encode, flat)])


def combined(digests: Mapping[str, bytes]) -> str:
    """The hash of a verdict on these relationships, independent of the order of computation."""
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
