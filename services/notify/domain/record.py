"""The layout of `mentoring.alert-state`: the complete state of one subject, or the clock of a partition. A state of an
older layout is upgraded when read, and written in the new one when it next changes."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from schemas.primitives import Id, Instant
from schemas.scores import ScoreRow
from services.notify.domain.ids import AlertSubject
from services.notify.domain.lifecycle import Due, RuleState
from services.notify.domain.subjects import SubjectWatch
from services.notify.domain.watch import LastDecision, Watch
from services.notify.domain.window import Window

CACHE_SIZE = 20_000
_NO_ROWS = b'"window":[]'
_ROWS: TypeAdapter[Window] = TypeAdapter(Window)
CLOCK_KEY = b"\x00clock"
"""No tenant/relationship key begins with a zero byte."""


class _Layout(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WatchRecord(_Layout):
    kind: Literal["watch.2"] = "watch.2"
    watch: Watch


class SubjectRecord(_Layout):
    """A programme or a source, on `mentoring.subject-state`."""

    kind: Literal["subject.1"] = "subject.1"
    watch: SubjectWatch


class ClockRecord(_Layout):
    kind: Literal["clock.1"] = "clock.1"
    clock: Instant


StateRecord = WatchRecord | ClockRecord


def dump(record: StateRecord | SubjectRecord) -> bytes:
    return record.__pydantic_serializer__.to_json(record)


class WatchWriter:
    """Serialises watches as `dump` does, and caches the JSON of their rows. Rows are most of a state, and most of them
    were written with the last one, so that only new rows are serialised. The cache holds the rows of the relationships
    written last, 3 KB each."""

    def __init__(self, most: int = CACHE_SIZE) -> None:
        self._most = most
        self._written: OrderedDict[str, tuple[Window, bytes]] = OrderedDict()

    def dump(self, key: str, watch: Watch) -> bytes:
        rest = dump(WatchRecord(watch=watch.with_window((), watch.rules)))
        # Only the subject comes before it, and ids have no quotation marks.
        return rest.replace(_NO_ROWS, b'"window":[' + self._rows(key, watch.window) + b"]", 1)

    def _rows(self, key: str, window: Window) -> bytes:
        previous, text = self._written.pop(key, ((), b""))
        if previous and window[: len(previous)] == previous:
            new = window[len(previous) :]
            text = b",".join([text, _ROWS.dump_json(new)[1:-1]]) if new else text
        else:
            text = _ROWS.dump_json(window)[1:-1]
        self._written[key] = window, text
        if len(self._written) > self._most:
            self._written.popitem(last=False)
        return text


def load(value: bytes) -> StateRecord:
    """Raises pydantic.ValidationError for a layout that this version does not know."""
    found = _STORED.validate_json(value)
    return _upgraded(found) if isinstance(found, _WatchRecord1) else found


def load_subject(value: bytes) -> SubjectRecord:
    """Raises pydantic.ValidationError for a layout that this version does not know."""
    return SubjectRecord.model_validate_json(value)


class _RuleState1(_Layout):
    """Transitions were not counted, and `told` was about the open episode only."""

    condition: Literal["ok", "pending", "firing", "recovering"] = "ok"
    since: Instant | None = None
    dues: tuple[Due, ...] = ()
    episode: int = 0
    urgency: Literal["P1", "P2", "P3"] | None = None
    told: bool = False


class _Watch1(_Layout):
    """Every subject was a relationship."""

    tenant: Id
    relationship: Id
    program: Id
    window: Window = ()
    mark: LastDecision | None = None
    reached: Instant | None = None
    shown: ScoreRow | None = None
    rules: Mapping[str, _RuleState1] = {}


class _WatchRecord1(_Layout):
    kind: Literal["watch.1"]
    watch: _Watch1


_STORED: TypeAdapter[Any] = TypeAdapter(
    Annotated[WatchRecord | ClockRecord | _WatchRecord1, Field(discriminator="kind")]
)


def _upgraded(stored: _WatchRecord1) -> WatchRecord:
    old = stored.watch
    return WatchRecord(
        watch=Watch(
            subject=AlertSubject(old.tenant, "relationship", old.relationship, old.program),
            window=old.window,
            mark=old.mark,
            reached=old.reached,
            shown=old.shown,
            rules={
                name: RuleState(
                    condition=state.condition,
                    since=state.since,
                    dues=state.dues,
                    episode=state.episode,
                    urgency=state.urgency,
                    told=state.episode if state.told else 0,
                )
                for name, state in old.rules.items()
            },
        )
    )
