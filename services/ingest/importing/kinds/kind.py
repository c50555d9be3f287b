"""The definition of a kind of table: its columns, and how a row becomes messages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from services.ingest.importing.row import TableRow, derived_id
from services.ingest.importing.sender import EVENTS_ENDPOINT, Endpoint

Message = Mapping[str, object]
ColumnType = Literal["text", "time", "day", "number", "percent", "yes or no"]
YES_OR_NO = ("yes", "no")


@dataclass(frozen=True)
class Column:
    """`example` is a cell of the template; `allowed` are all values that the column accepts, empty for any."""

    name: str
    description: str
    example: str = ""
    value_type: ColumnType = "text"
    allowed: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[str, ...]:
        return YES_OR_NO if self.value_type == "yes or no" else self.allowed


BY = Column("by", "who said or did it", "", allowed=("mentor", "mentee", "admin", "system"))
EVIDENCE = Column(
    *("evidence", "how it is known", ""), allowed=("observed", "calendar", "self_reported", "inferred", "admin")
)
# Shared by all tables of events.
COMMON_COLUMNS = (
    Column("program", "the programme's id; or --program for all rows"),
    Column("source", "the CloudEvents source; or --source for all rows"),
    Column("time_zone", "where the clocks hung: Europe/Berlin; or --time-zone for all rows"),
)


@dataclass(frozen=True)
class TableKind:
    """`messages_of` turns a row into messages, in the order in which they happened. `paths` maps a path of a message to
    its column where the two have different names."""

    name: str
    required_columns: tuple[Column, ...]
    optional_columns: tuple[Column, ...]
    messages_of: Callable[[TableRow], list[Message]]
    paths: Mapping[str, str] = field(default_factory=dict)
    endpoint: Endpoint = EVENTS_ENDPOINT

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        return {column.name: column for column in (*self.required_columns, *self.optional_columns)}

    @cached_property
    def required(self) -> frozenset[str]:
        return frozenset(column.name for column in self.required_columns)

    @property
    def refers_to_relationships(self) -> bool:
        """Whether its rows refer to relationships that other tables declare."""
        return "relationship" in self.required and "mentors" not in self.required

    def column(self, path: str) -> str:
        """Return the column from which a path of a message comes; an empty string if none."""
        steps = path.removeprefix("data.").split(".")
        paths = [path, *(".".join(steps[:length]) for length in range(len(steps), 0, -1))]
        named = [self.paths.get(one, one) for one in paths]
        return next((name for name in named if name in self.columns), "")


SUBJECT = {"subject": "relationship"}


def event_message(row: TableRow, name: str, time: str | None, data: Message, key: Sequence[str] = ()) -> Message:
    """`key`: what identifies the event besides its type and relationship."""
    relationship = row.text("relationship")
    return {
        "specversion": "1.0",
        "type": f"mentoring.{name}.v1",
        "source": row.text("source") or row.defaults.source,
        "id": f"csv-{derived_id(name, relationship, *key)}",
        "time": time,
        "subject": relationship,
        "program": row.text("program") or row.defaults.program,
        "data": data,
    }


def check_common_columns(row: TableRow) -> None:
    """Check what every table of events requires."""
    row.required("relationship")
    if not (row.text("program") or row.defaults.program):
        row.add_problem("program", "is empty, and the command names no --program")
    if not (row.text("source") or row.defaults.source):
        row.add_problem("source", "is empty, and the command names no --source")


def provenance(row: TableRow) -> dict[str, object]:
    return {"by": row.choice("by", BY.allowed), "evidence": row.choice("evidence", EVIDENCE.allowed)}
