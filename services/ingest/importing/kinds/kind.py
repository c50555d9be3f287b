"""What a kind of table is made of: its columns, and how a row of it is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from services.ingest.importing.row import TableRow, derived
from services.ingest.importing.sender import EVENTS_ENDPOINT, Endpoint

Message = Mapping[str, object]
Form = Literal["text", "time", "day", "number", "percent", "yes or no"]
YES_OR_NO = ("yes", "no")


@dataclass(frozen=True)
class Column:
    """`example` is a cell of the template; `allowed` are all values that it takes."""

    name: str
    words: str
    example: str = ""
    form: Form = "text"
    allowed: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[str, ...]:
        return YES_OR_NO if self.form == "yes or no" else self.allowed


BY = Column("by", "who said or did it", "", allowed=("mentor", "mentee", "admin", "system"))
EVIDENCE = Column(
    *("evidence", "how it is known", ""), allowed=("observed", "calendar", "self_reported", "inferred", "admin")
)
# Of every table of events.
COMMON = (
    Column("program", "the programme's id; or --program for all rows"),
    Column("source", "the CloudEvents source; or --source for all rows"),
    Column("time_zone", "where the clocks hung: Europe/Berlin; or --time-zone for all rows"),
)


@dataclass(frozen=True)
class TableKind:
    """`read` turns a row into messages, in the order in which they happened. `paths` names the column of a path of a
    message, where the two are not called alike."""

    name: str
    required: tuple[Column, ...]
    optional: tuple[Column, ...]
    read: Callable[[TableRow], list[Message]]
    paths: Mapping[str, str] = field(default_factory=dict)
    endpoint: Endpoint = EVENTS_ENDPOINT

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        return {column.name: column for column in (*self.required, *self.optional)}

    @cached_property
    def needed(self) -> frozenset[str]:
        return frozenset(column.name for column in self.required)

    @property
    def speaks_of_relationships(self) -> bool:
        """That others have declared."""
        return "relationship" in self.needed and "mentors" not in self.needed

    def column(self, path: str) -> str:
        """From which a path of a message comes; empty if from none."""
        steps = path.removeprefix("data.").split(".")
        paths = [path, *(".".join(steps[:length]) for length in range(len(steps), 0, -1))]
        named = [self.paths.get(one, one) for one in paths]
        return next((name for name in named if name in self.columns), "")


SUBJECT = {"subject": "relationship"}


def event(row: TableRow, name: str, time: str | None, data: Message, key: Sequence[str] = ()) -> Message:
    """`key`: what, beside the type and the relationship, makes it this event and no other."""
    relationship = row.text("relationship")
    return {
        "specversion": "1.0",
        "type": f"mentoring.{name}.v1",
        "source": row.text("source") or row.defaults.source,
        "id": f"csv-{derived(name, relationship, *key)}",
        "time": time,
        "subject": relationship,
        "program": row.text("program") or row.defaults.program,
        "data": data,
    }


def check_common(row: TableRow) -> None:
    """What every table of events needs."""
    row.needed("relationship")
    if not (row.text("program") or row.defaults.program):
        row.fault("program", "is empty, and the command names no --program")
    if not (row.text("source") or row.defaults.source):
        row.fault("source", "is empty, and the command names no --source")


def said(row: TableRow) -> dict[str, object]:
    return {"by": row.word("by", BY.allowed), "evidence": row.word("evidence", EVIDENCE.allowed)}
