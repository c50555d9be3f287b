"""What a kind of table is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from services.ingest.importing.row import TableRow, derived
from services.ingest.importing.sender import EVENTS_ENDPOINT, Endpoint

Message = Mapping[str, object]
# Of every table of events.
COMMON = frozenset({"program", "source", "time_zone"})


@dataclass(frozen=True)
class TableKind:
    """`read` turns a row into messages, in the order in which they happened. `columns` names the column of a path of a
    message, where the two are not called alike."""

    name: str
    required: frozenset[str]
    optional: frozenset[str]
    read: Callable[[TableRow], list[Message]]
    columns: Mapping[str, str] = field(default_factory=dict)
    endpoint: Endpoint = EVENTS_ENDPOINT

    @property
    def known(self) -> frozenset[str]:
        return self.required | self.optional

    def column(self, path: str) -> str:
        """From which a path of a message comes; empty if from none."""
        steps = path.removeprefix("data.").split(".")
        paths = [path, *(".".join(steps[:length]) for length in range(len(steps), 0, -1))]
        named = [self.columns.get(one, one) for one in paths]
        return next((name for name in named if name in self.known), "")


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
