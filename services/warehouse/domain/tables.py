"""What a table is to everything that goes through all of them: storing, erasing, recomputing, comparing, describing."""

from dataclasses import dataclass
from typing import Literal

Scope = Literal["relationship", "day"]
Kind = Literal["events", "scores", "alerts"]
FILL = "run `rapport warehouse recompute`"
"""What is said of tables that are made from others and lack what was stored before them: how they are filled. The local
stack looks for these words in what `migrate` prints."""


@dataclass(frozen=True)
class WarehouseTable:
    """A table of the database `mentoring`. `key` is its ORDER BY, by which repeats replace each other.

    `columns` is what the sink writes of a record; empty where no record becomes a row.
    `time` is the column that says of which day a row is, `valid` which of several rows with one key stays: the first on
    the log, the last, or the one of the greatest version.
    `derived`: what it is recomputed for, after rows of other tables were stored; its statement has the table's name.
    `kind`: of the settings that say for how many days rows are kept, the one that is for this table.
    `leaving` (SQL): which rows leave after that; empty: all.
    `filling` grows when a derived table gets columns: rows of before know nothing of them until it is made anew.
    `erasable`: its rows belong to relationships, and an erasure deletes them, but for those that `kept` (SQL) holds of.
    """

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
        """Under what name it is written down that it was made as a whole."""
        return self.name if self.filling == 1 else f"{self.name} {self.filling}"

    @property
    def erasable(self) -> bool:
        return "relationship_id" in self.key

    @property
    def short(self) -> str:
        """Without its database."""
        return self.name.partition(".")[2]
