"""What a kind of table is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.ingest.importing.row import Row
from services.ingest.importing.sender import EVENTS, Endpoint

Message = Mapping[str, object]
# Of every table of events.
COMMON = frozenset({"program", "source", "time_zone"})


@dataclass(frozen=True)
class Kind:
    """`read` turns a row into messages, in the order in which they happened. `columns` names the column of a path of a
    message, where the two are not called alike."""

    name: str
    required: frozenset[str]
    optional: frozenset[str]
    read: Callable[[Row], list[Message]]
    columns: Mapping[str, str] = field(default_factory=dict)
    endpoint: Endpoint = EVENTS

    @property
    def known(self) -> frozenset[str]:
        return self.required | self.optional

    def column(self, path: str) -> str:
        """From which a path of a message comes; empty if from none."""
        steps = path.removeprefix("data.").split(".")
        paths = [path, *(".".join(steps[:length]) for length in range(len(steps), 0, -1))]
        named = [self.columns.get(one, one) for one in paths]
        return next((name for name in named if name in self.known), "")
