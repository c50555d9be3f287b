"""From what a request holds to the log: admitted, written, and waited for."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from services.ingest.domain.admission import admit
from services.ingest.domain.clock import Clock
from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Admitted, Rejected, Verdict
from services.ingest.flow.acknowledged import all_of
from services.ingest.flow.people.programs import ProgramLookup
from services.ingest.flow.recorder import Receipt, Recorder
from services.ingest.flow.room import Room

LONGEST_ID_SHOWN = 256


@dataclass(frozen=True)
class Outcome:
    """`id` as on the log if it got there, else as the sender wrote it, if that can be read. `dropped`: attributes that
    are not on the log because we do not know them."""

    id: str | None
    result: Receipt | Rejected
    dropped: int = 0


@dataclass(frozen=True)
class Gate:
    """What events are judged by."""

    clock: Callable[[], Clock]
    programs: ProgramLookup
    pseudonym: Callable[[str], Pseudonym]

    def judge(self, raw_events: Iterable[object], scope: Scope) -> list[Verdict]:
        """All at one time, in their order. Raises UnavailableError while the log is not read yet."""
        clock, programs, pseudonym = self.clock(), self.programs, self.pseudonym(scope.tenant)
        return [programs.claimed(admit(raw, scope, clock, programs.program_of, pseudonym), scope) for raw in raw_events]


class Intake:
    """For one event loop."""

    def __init__(self, recorder: Recorder, room: Room, gate: Gate) -> None:
        self._recorder, self._room, self._gate = recorder, room, gate

    async def take(self, raw_events: Sequence[object], size: int, scope: Scope) -> list[Outcome]:
        """Returns when every admitted event is on the log. `size` is of the request, in bytes.
        Raises UnavailableError when the broker is away, too much waits for it already, or the log is not read yet."""
        verdicts = self._gate.judge(raw_events, scope)
        recorded: list[Receipt | Rejected] = []

        def send() -> Future[None]:
            recorded.extend(self._recorder.record_all(v.event for v in verdicts if isinstance(v, Admitted)))
            return all_of(receipt.written for receipt in recorded if isinstance(receipt, Receipt))

        await self._room.written(size, send)
        results = iter(recorded)
        return [_outcome(raw, verdict, results) for raw, verdict in zip(raw_events, verdicts, strict=True)]


def _outcome(raw: object, verdict: Verdict, results: Iterator[Receipt | Rejected]) -> Outcome:
    if isinstance(verdict, Rejected):
        return Outcome(_id_of(raw), verdict)
    return Outcome(verdict.event.id, next(results), verdict.dropped)


def _id_of(raw: object) -> str | None:
    given = raw.get("id") if isinstance(raw, dict) else None
    return given[:LONGEST_ID_SHOWN] if isinstance(given, str) else None
