"""The properties of a table that storing, erasing, recomputing, comparing and describing rely on."""

from dataclasses import dataclass
from typing import Literal

Scope = Literal["relationship", "day"]
Kind = Literal["events", "scores", "alerts"]
FILL = "run `rapport warehouse recompute`"
"""How to fill tables that are derived from others and lack earlier rows. The local stack looks for this text in the
output of `migrate`."""


@dataclass(frozen=True)
class WarehouseTable:
    """A table of the database `mentoring`. `key` is its ORDER BY, by which duplicates are replaced.

    `columns`: the columns that the sink writes for a record; empty if no record becomes a row. `time`: the column that
    determines a row's day. `valid`: which of several rows with one key remains: the first on the log, the last, or the
    one of the greatest version. `derived`: the kind of touched keys for which it is recomputed; its statement has the
    table's name. `kind`: which retention setting applies to the table. `leaving` (SQL): the rows to which retention
    applies; empty means all. `filling`: increased when a derived table gets columns, because earlier rows lack them
    until it is recomputed. `erasable`: its rows belong to relationships, and an erasure deletes them, except for rows
    that match `kept` (SQL)."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...] = ()
    time: str = ""
    valid: Literal["first", "last", "version"] = "last"
    derived: Scope | None = None
    kind: Kind | None = None
    leaving: str = ""
    kept: str = ""
    filling: int = 1

    @property
    def filled_as(self) -> str:
        """The name under which the ledger records that the table is filled."""
        return self.name if self.filling == 1 else f"{self.name} {self.filling}"

    @property
    def erasable(self) -> bool:
        return "relationship_id" in self.key

    @property
    def short(self) -> str:
        """The name without its database."""
        return self.name.partition(".")[2]
