"""From what a request holds to the log: admitted, written, and waited for."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from services.ingest.domain.admission import admit
from services.ingest.domain.clock import Clock
from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Admitted, Rejected, Verdict
from services.ingest.flow.acknowledged import all_of
from services.ingest.flow.people.programs import ProgramLookup
from services.ingest.flow.recorder import Receipt, Recorder
from services.ingest.flow.room import Room
from services.ingest.flow.turns import LARGE, LARGE_AT_ONCE, WINDOW, Item, Turns

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

    def judge_of(self, scope: Scope) -> Callable[[object], Verdict]:
        """For one request: all of it is judged at one time. Calling it raises UnavailableError while relationships are
        not known up to now."""
        clock, programs, pseudonym = self.clock(), self.programs, self.pseudonym(scope.tenant)
        return lambda raw: programs.claimed(admit(raw, scope, clock, programs.program_of, pseudonym), scope)


@dataclass(frozen=True)
class HandedIn:
    """By whom, and how many bytes the request has."""

    sender: str
    size: int


@dataclass(frozen=True)
class Writing:
    """How much may be under way to the broker, and whose turn it is."""

    room: Room
    turns: Turns
    large: Turns = field(default_factory=lambda: Turns(LARGE_AT_ONCE))

    async def in_windows(
        self, items: Sequence[Item], handed_in: HandedIn, send: Callable[[Sequence[Item]], Awaitable[Future[None]]]
    ) -> None:
        """`send` for some of the items after the other, each when those before are on the log. Raises what
        `Room.written` does."""
        if len(items) <= LARGE:
            await self.room.written(handed_in.size, lambda: send(items))
            return
        async with self.large.turn(handed_in.sender):
            for start in range(0, len(items), WINDOW):
                window = items[start : start + WINDOW]
                size = handed_in.size * len(window) // len(items)
                await self.room.written(size, partial(send, window))


class Intake:
    """For one event loop."""

    def __init__(self, recorder: Recorder, writing: Writing, gate: Gate) -> None:
        self._recorder, self._writing, self._gate = recorder, writing, gate

    async def take(self, raw_events: Sequence[object], scope: Scope, handed_in: HandedIn) -> list[Outcome]:
        """Returns when every admitted event is on the log. Raises UnavailableError when the broker is away, too much
        waits for it already, or relationships are not known up to now; some events may have been sent then."""
        judge, outcomes = self._gate.judge_of(scope), list[Outcome]()

        def judged(raw: object) -> tuple[object, Verdict]:
            return raw, judge(raw)

        def recorded(judged: list[tuple[object, Verdict]]) -> None:
            admitted = [verdict.event for _, verdict in judged if isinstance(verdict, Admitted)]
            results = iter(self._recorder.record_all(admitted))
            outcomes.extend(_outcome(raw, verdict, results) for raw, verdict in judged)

        async def send(window: Sequence[object]) -> Future[None]:
            done = len(outcomes)
            await self._writing.turns.in_slices(handed_in.sender, window, judged, recorded)
            return all_of(one.result.written for one in outcomes[done:] if isinstance(one.result, Receipt))

        await self._writing.in_windows(raw_events, handed_in, send)
        return outcomes


def _outcome(raw: object, verdict: Verdict, results: Iterator[Receipt | Rejected]) -> Outcome:
    if isinstance(verdict, Rejected):
        return Outcome(_id_of(raw), verdict)
    return Outcome(verdict.event.id, next(results), verdict.dropped)


def _id_of(raw: object) -> str | None:
    given = raw.get("id") if isinstance(raw, dict) else None
    return given[:LONGEST_ID_SHOWN] if isinstance(given, str) else None
