"""What the shadow asks of ClickHouse."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

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
    """The statements that make, exchange and end the tables of a replay. `cluster`: where they are replicated; else of
    one server."""

    cluster: str = ""

    @property
    def on(self) -> str:
        return f" ON CLUSTER '{self.cluster}'" if self.cluster else ""

    def create_shadow(self, engine_full: str, number: int, comment: str) -> str:
        """`engine_full`: as the engine describes the table in use. `number` makes the path of a replicated one new, and
        is the same for whoever tries again: a statement that half of a cluster has run must not give others another."""
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
    """Greater than that of any replay whose table is in use or was kept, as `engine_full` of each says."""
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
WHERE told.position > done.position OR told.as_of > done.clock
SETTINGS join_use_nulls = 0
"""
"""What live scoring has told beyond what was replayed; of a relationship that came later, everything."""


def copy(origin: str, target: str) -> str:
    """Also rows that say that an instant is no more. They are inserted now: derived tables look at that."""
    return f"""
INSERT INTO {target} (* EXCEPT (inserted_at))
SELECT told.* EXCEPT (inserted_at) FROM {origin} AS told {_BEYOND}
"""  # noqa: S608 (names of ours)


def tip(table: str) -> str:
    """Equal where two tables hold the same beyond what was replayed: how many rows, and a hash of their versions."""
    return f"""
SELECT count(), groupBitXor(cityHash64(tenant_id, relationship_id, told.as_of, told.version))
FROM {table} AS told FINAL {_BEYOND}
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
