"""The shadow: a second table of scores that a replay fills beside the one in use, and then exchanges with it.

The comment of a table records that a replay filled it, and moves with it in the exchange: so after a crash the next
call knows whether the exchange has happened."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import NamedTuple

from services.runtime.clickhouse import ClickHouse

FILLED = "Filled by rapport scoring replay: "


class Phase(Enum):
    """EXCHANGED: the previous table now has the shadow's name."""

    NOTHING = auto()
    FILLING = auto()
    EXCHANGED = auto()


class UnusableShadowError(Exception):
    """The message states the reason and the remedy."""


class Changes(NamedTuple):
    """Rows before and after: unchanged, changed, deleted, new."""

    equal: int = 0
    changed: int = 0
    gone: int = 0
    new: int = 0


class ShadowTable:
    """`kind`: what its rows are computed by; `cluster`: where tables are replicated. Every method raises
    ClickHouseError."""

    def __init__(self, clickhouse: ClickHouse, kind: str, cluster: str = "") -> None:
        self._clickhouse, self._comment = clickhouse, FILLED + kind
        self._sql = ReplayTables(cluster)

    def phase(self) -> Phase:
        """Raises UnusableShadowError."""
        shadow = self._tables().get(SHADOW)
        if shadow is None:
            return Phase.NOTHING
        if not shadow.comment.startswith(FILLED):
            return Phase.EXCHANGED
        begun, own_comment = shadow.comment.split("\n", 1)[0], self._comment
        if begun != own_comment:
            raise UnusableShadowError(
                f"{SHADOW} was begun by another replay ({begun.removeprefix(FILLED)}): --restart drops it"
            )
        return Phase.FILLING

    def begin(self) -> None:
        """Idempotent. Raises UnusableShadowError."""
        tables = self._tables()
        if TABLE not in tables:
            raise UnusableShadowError(f"there is no table {TABLE}: run `rapport warehouse migrate`")
        if tables[TABLE].engine.startswith("Replicated") != bool(self._sql.cluster):
            raise UnusableShadowError(
                f"{TABLE} is {'not ' if self._sql.cluster else ''}replicated: "
                f"{'leave --cluster out' if self._sql.cluster else 'name its cluster with --cluster'}"
            )
        self._set_comment(_own(tables[TABLE].comment))
        number = next_number(table.engine for name, table in tables.items() if name not in {SHADOW, DONE})
        if SHADOW not in tables:
            comment = f"{self._comment}\n{_own(tables[TABLE].comment)}"
            self._clickhouse.command(self._sql.drop(DONE))
            self._clickhouse.command(self._sql.create_shadow(tables[TABLE].engine, number, _quoted(comment)))
        self._clickhouse.command(self._sql.create_done(number))

    def forget(self) -> None:
        """Drop what any replay has filled; after the exchange there is no way back."""
        shadow = self._tables().get(SHADOW)
        if shadow is not None and shadow.comment.startswith(FILLED):
            self._clickhouse.command(self._sql.drop(SHADOW))
            self._clickhouse.command(self._sql.drop(DONE))

    def done(self) -> set[str]:
        """The relationships whose rows are in the shadow."""
        rows = self._clickhouse.query(f"SELECT concat(tenant_id, '/', relationship_id) FROM {DONE}")  # noqa: S608
        return {name for (name,) in rows}

    def is_caught_up(self) -> bool:
        """Whether both tables have the same rows beyond what was replayed."""
        return self._clickhouse.query(tip(TABLE)) == self._clickhouse.query(tip(SHADOW))

    def follow(self) -> None:
        """Copy what live scoring has emitted since."""
        self._clickhouse.command(copy(TABLE, SHADOW))

    def exchange(self) -> None:
        self._clickhouse.command(self._sql.exchange())

    def copy_late_rows(self) -> None:
        """After the exchange: copy the rows stored between the last check and the exchange into the table now in
        use."""
        self._clickhouse.command(copy(SHADOW, TABLE))

    def changes(self) -> Changes:
        """After the exchange; month by month, so that it fits into memory."""
        months = [month for (month,) in self._clickhouse.query(MONTHS)]
        found = [self._clickhouse.query(CHANGES, {"month": month})[0] for month in sorted(months)]
        return Changes(*map(sum, zip(*found, strict=True))) if found else Changes()

    def end(self, *, keep: bool) -> str | None:
        """Drop the previous table, or keep it under the name that is returned."""
        kept = f"{TABLE}_before_{datetime.now(UTC):%Y%m%d%H%M%S}" if keep else None
        self._clickhouse.command(self._sql.rename(kept) if kept else self._sql.drop(SHADOW))
        self._clickhouse.command(self._sql.drop(DONE))
        self._set_comment(_own(self._tables()[TABLE].comment))
        return kept

    def _set_comment(self, comment: str) -> None:
        """The comment without a replay in progress: otherwise the next replay would take the table for a shadow."""
        self._clickhouse.command(self._sql.comment(_quoted(comment)))

    def _tables(self) -> dict[str, "_Table"]:
        return {name: _Table(comment, engine) for name, comment, engine in self._clickhouse.query(TABLES)}


class _Table(NamedTuple):
    comment: str
    engine: str


def _own(comment: str) -> str:
    """The table's own comment, whoever filled it."""
    return comment.split("\n", 1)[-1] if comment.startswith(FILLED) else comment


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


TABLE = "mentoring.score_history"
SHADOW = f"{TABLE}_replay"
DONE = f"{TABLE}_replayed"
# A block of relationships has rows of all their months.
INSERT = {"async_insert": 0, "insert_deduplicate": 0, "max_partitions_per_insert_block": 0}

TABLES = """
SELECT concat(database, '.', name), comment, engine_full FROM system.tables
WHERE database = 'mentoring' AND startsWith(name, 'score_history')
"""
_NUMBER = re.compile(r"/replay-(\d+)'")
_ENGINE = re.compile(r"Replicated(\w+)\('[^']*', '[^']*'")


@dataclass(frozen=True)
class ReplayTables:
    """The statements that create, exchange and drop the tables of a replay. `cluster`: where they are replicated;
    otherwise on one server."""

    cluster: str = ""

    @property
    def on(self) -> str:
        return f" ON CLUSTER '{self.cluster}'" if self.cluster else ""

    def create_shadow(self, engine_full: str, number: int, comment: str) -> str:
        """`engine_full`: as the engine describes the table in use. `number` makes the path of a replicated one new, and
        is the same for a retry: replicas that run the statement later must get the same path."""
        if not self.cluster:
            return f"CREATE TABLE {SHADOW} AS {TABLE} COMMENT {comment}"
        engine = _ENGINE.sub(lambda found: f"Replicated{found[1]}({_path('score_history', number)}", engine_full)
        return f"CREATE TABLE {SHADOW}{self.on} AS {TABLE} ENGINE = {engine} COMMENT {comment}"

    def create_done(self, number: int) -> str:
        """ORDER BY: one row per relationship. No partitions: so few columns. Engine: a repeat replaces."""
        engine = f"ReplicatedReplacingMergeTree({_path('replayed', number)})" if self.cluster else "ReplacingMergeTree"
        return f"""
CREATE TABLE IF NOT EXISTS {DONE}{self.on}
(
    tenant_id       String COMMENT 'The organisation',
    relationship_id String COMMENT 'The mentoring relationship',
    position        UInt64 COMMENT 'Position of the last record of the log that its rows know of',
    clock           DateTime64(6, 'UTC') COMMENT 'Up to which instant they are computed'
)
ENGINE = {engine}
ORDER BY (tenant_id, relationship_id)
COMMENT 'Relationships whose rows are in the shadow of score_history'
"""

    def exchange(self) -> str:
        return f"EXCHANGE TABLES {TABLE} AND {SHADOW}{self.on}"

    def rename(self, kept: str) -> str:
        return f"RENAME TABLE {SHADOW} TO {kept}{self.on}"

    def drop(self, table: str) -> str:
        """SYNC: on every replica when it returns."""
        return f"DROP TABLE IF EXISTS {table}{self.on}{' SYNC' if self.cluster else ''}"

    def comment(self, comment: str) -> str:
        return f"ALTER TABLE {TABLE}{self.on} MODIFY COMMENT {comment}"


def next_number(engines: Iterable[str]) -> int:
    """Greater than the number of any replay whose table is in use or kept, by the `engine_full` of each."""
    return max((int(found[1]) for engine in engines if (found := _NUMBER.search(engine))), default=0) + 1


def _path(table: str, number: int) -> str:
    return f"'/clickhouse/tables/{{shard}}/mentoring/{table}/replay-{number}', '{{replica}}'"


_BEYOND = """
LEFT JOIN
(
    SELECT tenant_id, relationship_id, max(position) AS position, max(clock) AS clock
    FROM mentoring.score_history_replayed
    GROUP BY tenant_id, relationship_id
) AS done USING (tenant_id, relationship_id)
WHERE live.position > done.position OR live.as_of > done.clock
SETTINGS join_use_nulls = 0
"""
"""What live scoring has emitted beyond what was replayed; for relationships that came later, everything."""


def copy(origin: str, target: str) -> str:
    """Includes rows that mark an instant as deleted. They get a new `inserted_at`: derived tables depend on it."""
    return f"""
INSERT INTO {target} (* EXCEPT (inserted_at))
SELECT live.* EXCEPT (inserted_at) FROM {origin} AS live {_BEYOND}
"""  # noqa: S608 (names of ours)


def tip(table: str) -> str:
    """Equal for two tables with the same rows beyond what was replayed: the number of rows, and a hash of their
    versions."""
    return f"""
SELECT count(), groupBitXor(cityHash64(tenant_id, relationship_id, live.as_of, live.version))
FROM {table} AS live FINAL {_BEYOND}
"""  # noqa: S608


MONTHS = f"""
SELECT DISTINCT toYYYYMM(as_of) AS month FROM {TABLE} UNION DISTINCT SELECT DISTINCT toYYYYMM(as_of) FROM {SHADOW}
"""  # noqa: S608
_CONTENT = """
cityHash64(
    program_id, causes, health, band, caps, risk, mapSort(factors), mapSort(deltas), mapSort(factor_values),
    mapSort(weights), mapSort(risk_terms), confidence, trend, status, started, cadence_days, last_contact, next_session,
    open_requests, sources, calibrated, profile, calibration, before_as_of, before_health, before_band, before_risk
)
"""


def _side(table: str, number: int) -> str:
    return f"""
SELECT tenant_id, relationship_id, as_of, {number} AS side, {_CONTENT} AS content FROM {table} FINAL
WHERE toYYYYMM(as_of) = {{month:UInt32}}
"""  # noqa: S608


CHANGES = f"""
SELECT
    countIf(had AND has AND contents = 1) AS equal,
    countIf(had AND has AND contents > 1) AS changed,
    countIf(had AND NOT has) AS gone,
    countIf(has AND NOT had) AS new
FROM
(
    SELECT countIf(side = 0) > 0 AS had, countIf(side = 1) > 0 AS has, uniqExact(content) AS contents
    FROM ({_side(SHADOW, 0)} UNION ALL {_side(TABLE, 1)})
    GROUP BY tenant_id, relationship_id, as_of
)
"""  # noqa: S608
