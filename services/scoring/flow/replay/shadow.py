"""The shadow: a second table of scores that a replay fills beside the one in use, and then exchanges with it.

That a table was filled by a replay is written in its own comment, which goes with it when the two change places: so
whoever comes after a crash knows where it happened."""

from datetime import UTC, datetime
from enum import Enum, auto
from typing import NamedTuple

from services.runtime.clickhouse import ClickHouse
from services.scoring.flow.replay import shadow_sql as sql
from services.scoring.flow.replay.shadow_sql import DONE, SHADOW, TABLE

FILLED = "Filled by rapport scoring replay: "


class Phase(Enum):
    """EXCHANGED: what was in use before bears the shadow's name."""

    NOTHING = auto()
    FILLING = auto()
    EXCHANGED = auto()


class UnusableShadowError(Exception):
    """The message says why, and what to do."""


class Changes(NamedTuple):
    """Rows before and after: that say the same, that say something else, that are no more, that are new."""

    equal: int = 0
    changed: int = 0
    gone: int = 0
    new: int = 0


class ShadowTable:
    """`kind`: what its rows are computed by; `cluster`: where tables are replicated. Every method raises
    ClickHouseError."""

    def __init__(self, clickhouse: ClickHouse, kind: str, cluster: str = "") -> None:
        self._clickhouse, self._mark = clickhouse, FILLED + kind
        self._sql = sql.ReplayTables(cluster)

    def phase(self) -> Phase:
        """Raises UnusableShadowError."""
        shadow = self._tables().get(SHADOW)
        if shadow is None:
            return Phase.NOTHING
        if not shadow.comment.startswith(FILLED):
            return Phase.EXCHANGED
        begun, mark = shadow.comment.split("\n", 1)[0], self._mark
        if begun != mark:
            raise UnusableShadowError(
                f"{SHADOW} was begun by another replay ({begun.removeprefix(FILLED)}): --restart drops it"
            )
        return Phase.FILLING

    def begin(self) -> None:
        """A repeat changes nothing. Raises UnusableShadowError."""
        tables = self._tables()
        if TABLE not in tables:
            raise UnusableShadowError(f"there is no table {TABLE}: run `rapport warehouse migrate`")
        if tables[TABLE].engine.startswith("Replicated") != bool(self._sql.cluster):
            raise UnusableShadowError(
                f"{TABLE} is {'not ' if self._sql.cluster else ''}replicated: "
                f"{'leave --cluster out' if self._sql.cluster else 'name its cluster with --cluster'}"
            )
        self._say_of_table(_own(tables[TABLE].comment))
        number = sql.next_number(table.engine for name, table in tables.items() if name not in {SHADOW, DONE})
        if SHADOW not in tables:
            comment = f"{self._mark}\n{_own(tables[TABLE].comment)}"
            self._clickhouse.command(self._sql.drop(DONE))
            self._clickhouse.command(self._sql.create_shadow(tables[TABLE].engine, number, _quoted(comment)))
        self._clickhouse.command(self._sql.create_done(number))

    def forget(self) -> None:
        """Drops what was filled, by whatever replay; once exchanged, there is no way back."""
        shadow = self._tables().get(SHADOW)
        if shadow is not None and shadow.comment.startswith(FILLED):
            self._clickhouse.command(self._sql.drop(SHADOW))
            self._clickhouse.command(self._sql.drop(DONE))

    def done(self) -> set[str]:
        """The relationships whose rows are in it."""
        rows = self._clickhouse.query(f"SELECT concat(tenant_id, '/', relationship_id) FROM {DONE}")  # noqa: S608
        return {name for (name,) in rows}

    def is_level(self) -> bool:
        """Whether both tables hold the same beyond what was replayed."""
        return self._clickhouse.query(sql.tip(TABLE)) == self._clickhouse.query(sql.tip(SHADOW))

    def follow(self) -> None:
        """Takes over what live scoring has told since."""
        self._clickhouse.command(sql.copy(TABLE, SHADOW))

    def exchange(self) -> None:
        self._clickhouse.command(self._sql.exchange())

    def bring_over(self) -> None:
        """After the exchange: what was stored between the last look and it, into the table that was not in use yet."""
        self._clickhouse.command(sql.copy(SHADOW, TABLE))

    def changes(self) -> Changes:
        """After the exchange; month by month, so that it fits into memory."""
        months = [month for (month,) in self._clickhouse.query(sql.MONTHS)]
        found = [self._clickhouse.query(sql.CHANGES, {"month": month})[0] for month in sorted(months)]
        return Changes(*map(sum, zip(*found, strict=True))) if found else Changes()

    def end(self, *, keep: bool) -> str | None:
        """What was in use before is dropped, or kept under the name that is returned."""
        kept = f"{TABLE}_before_{datetime.now(UTC):%Y%m%d%H%M%S}" if keep else None
        self._clickhouse.command(self._sql.rename(kept) if kept else self._sql.drop(SHADOW))
        self._clickhouse.command(self._sql.drop(DONE))
        self._say_of_table(_own(self._tables()[TABLE].comment))
        return kept

    def _say_of_table(self, comment: str) -> None:
        """What it says when no replay is under way: else the next one would take it for a shadow."""
        self._clickhouse.command(self._sql.comment(_quoted(comment)))

    def _tables(self) -> dict[str, "_Table"]:
        return {name: _Table(comment, engine) for name, comment, engine in self._clickhouse.query(sql.TABLES)}


class _Table(NamedTuple):
    comment: str
    engine: str


def _own(comment: str) -> str:
    """What it says of itself, whoever filled it."""
    return comment.split("\n", 1)[-1] if comment.startswith(FILLED) else comment


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
