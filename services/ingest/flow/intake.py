"""How what is handed in comes in: by what it is judged, whose turn it is, how much may be under way. One event
loop serves all senders: long work is done in slices, and the turn goes round between senders, so that no one's work,
however much, delays another's by more than a slice."""

import asyncio
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal, TypeVar

from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Admitted, Verdict
from services.ingest.flow.in_flight import RefusedError, UnavailableError, all_of, unwritten
from services.ingest.flow.people.program_lookup import ProgramLookup
from services.runtime.kafka import KafkaError

# Long enough that going round costs little, short beside the broker's acknowledgement.
SLICE_SECONDS = 0.001
# While somebody else has a request in work, a sender rests so many times as long as the last slice took: a short
# request takes some ten rounds of the loop, and would else wait for a slice in each of them.
RESTS = 4
LONGEST_PAUSE_SECONDS = 0.01
# What is at most under way to the broker of one request: the producer's thread settles records one by one, and those of
# all others behind them.
WINDOW = 500

AmongOwn = Literal["first", "last"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class Turn:
    """`rest`: seconds for which the sender gets no further turn, as whoever has the turn may say."""

    rest: float = 0.0


class Turns:
    """For one event loop. At most `places` senders work at once, each at one thing; who waits is let in by sender, in
    the order of their last turn."""

    def __init__(self, places: int = 1) -> None:
        self._free = places
        self._working: set[str] = set()
        self._present: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, sender: str) -> AsyncIterator[Turn]:
        await self.granted(sender)
        began, turn = time.perf_counter(), Turn()
        try:
            yield turn
        finally:
            self.paused(sender, began, turn.rest)

    async def granted(self, sender: str, among_own: AmongOwn = "last") -> None:
        """Returns when it is the sender's turn, until it is given back. `among_own`: where it waits among the works of
        the same sender."""
        if self._free and sender not in self._working and not self._waiting.keys() - self._working:
            self._enter(sender)
            return
        granted = asyncio.get_running_loop().create_future()
        queue = self._waiting.setdefault(sender, deque())
        if among_own == "first":
            queue.appendleft(granted)
        else:
            queue.append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._free += 1
                self._working.discard(sender)
            asyncio.get_running_loop().call_soon(self._grant)
            raise

    def paused(self, sender: str, began: float, rest: float = 0.0) -> None:
        """The turn is given back. The sender counts as working until the pause is over, during which what has just
        ended a slice comes back: before the sender's others, if it is to go first among them."""
        self._free += 1
        # What is short and came meanwhile runs first.
        asyncio.get_running_loop().call_soon(self._grant)
        took = time.perf_counter() - began
        pause = 0 if self.is_alone(sender) else min(RESTS * took, LONGEST_PAUSE_SECONDS)
        asyncio.get_running_loop().call_later(max(pause, rest), self._rested, sender)

    def ended(self, sender: str, began: float) -> None:
        """The turn is given back, and nothing more comes of this work. Where nobody waits, as after nearly every single
        event, that is all: two more calls of the loop would cost as much as to judge it."""
        if self._waiting or not self.is_alone(sender):
            self.paused(sender, began)
        else:
            self._free += 1
            self._working.discard(sender)

    def is_alone(self, sender: str) -> bool:
        """Nobody else has a request in work."""
        return len(self._present) <= (sender in self._present)

    @contextmanager
    def present(self, sender: str) -> Iterator[None]:
        """While a request of theirs is in work."""
        self._present[sender] += 1
        try:
            yield
        finally:
            self._present[sender] -= 1
            if not self._present[sender]:
                del self._present[sender]

    @contextmanager
    def slices(self, sender: str) -> Iterator["Slices"]:
        """For one work of the sender, in parts that follow one another."""
        slices = Slices(self, sender)
        try:
            yield slices
        finally:
            slices.end()

    async def in_slices(
        self, sender: str, items: Sequence[Item], one: Callable[[Item], Result], done: Callable[[list[Result]], None]
    ) -> None:
        """Work of one part only."""
        with self.slices(sender) as slices:
            await slices.each(items, one, done)

    def _rested(self, sender: str) -> None:
        self._working.discard(sender)
        self._grant()

    def _grant(self) -> None:
        """Whoever waits first of each sender who may work; the sender goes to the end of the round."""
        for sender in [one for one in self._waiting if one not in self._working]:
            if not self._free:
                return
            queue = self._waiting.pop(sender)
            while queue:
                granted = queue.popleft()
                if not granted.done():
                    self._enter(sender)
                    granted.set_result(None)
                    break
            if queue:
                self._waiting[sender] = queue

    def _enter(self, sender: str) -> None:
        self._free -= 1
        self._working.add(sender)


class Slices:
    """One work, a slice of it in each turn. What is short has one turn for all of its parts: a turn takes several
    rounds of the loop, which cost a single event more than to be judged."""

    def __init__(self, turns: Turns, sender: str) -> None:
        self._turns, self._sender = turns, sender
        self._began: float | None = None

    async def each(
        self,
        items: Sequence[Item],
        one: Callable[[Item], Result],
        done: Callable[[list[Result]], None],
        among_own: AmongOwn = "last",
    ) -> None:
        """`one` for each of the items, and `done` with what a slice of them became."""
        place = 0
        while place < len(items):
            until, results = await self._until(among_own), list[Result]()
            while place < len(items) and (not results or time.perf_counter() < until):
                results.append(one(items[place]))
                place += 1
            done(results)

    async def _until(self, among_own: AmongOwn) -> float:
        """When the turn ends that this work has, or gets now."""
        if self._began is not None and time.perf_counter() >= self._began + SLICE_SECONDS:
            self._turns.paused(self._sender, self._began)
            self._began = None
            await asyncio.sleep(0)
        if self._began is None:
            await self._turns.granted(self._sender, among_own)
            self._began = time.perf_counter()
        return self._began + SLICE_SECONDS

    def end(self) -> None:
        if self._began is not None:
            self._turns.ended(self._sender, self._began)
            self._began = None


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

        def judged(raw: object) -> Verdict:
            verdict = admit(raw, scope, clock, programs.program_of, pseudonym)
            if isinstance(verdict, Admitted) and verdict.event.type == "mentoring.relationship.started.v1":
                return programs.claimed(verdict, scope)
            return verdict

        return judged


def clock_now(mode: Literal["wall", "log"]) -> Clock:
    return Clock(datetime.now(UTC), mode)


# A stop ends a wait for the broker within this; the process has 2 s in all.
STOP_NOTICED_SECONDS = 0.5

Begun = Callable[[Future[None]], None]
"""Is told before anything is handed over what will complete when all of that is settled, however sending ends."""


class InFlightLimiter:
    """`limit` bounds the bytes that wait for the broker. A request waits for `patience` seconds, or until `stop` is
    set. What it has sent may come onto the log after that: it keeps its place until it does, and whoever sends the
    same again waits for the same record, so that it is written once."""

    def __init__(self, limit: int, patience: float, stop: threading.Event) -> None:
        self._limit, self._patience, self._stop = limit, patience, stop
        self._lock = threading.Lock()
        self.outstanding = 0

    async def written(self, size: int, send: Callable[[Begun], Awaitable[Future[None]]]) -> None:
        """Sends a request of `size` bytes, and returns when all of it is on the log. Raises UnavailableError when the
        broker is away or too much waits for it already, and RefusedError."""
        with self._lock:
            if self.outstanding + size > self._limit:
                raise UnavailableError("too many events wait for the broker")
            self.outstanding += size

        def leave(_: Future[None]) -> None:
            with self._lock:
                self.outstanding -= size

        begun = list[Future[None]]()
        try:
            sent = await send(begun.append)
        except BaseException as failure:
            # Whatever it was: what is not counted off is lost for good, and what was handed over is still under way.
            all_of(begun).add_done_callback(leave)
            if isinstance(failure, KafkaError):
                raise unwritten(failure, "answer") from failure
            raise
        sent.add_done_callback(leave)
        waited, until = asyncio.wrap_future(sent), time.monotonic() + self._patience
        while not (await asyncio.wait([waited], timeout=STOP_NOTICED_SECONDS))[0]:
            if self._stop.is_set() or time.monotonic() >= until:
                waited.cancel()
                raise UnavailableError(
                    "the gateway stops" if self._stop.is_set() else "the broker does not acknowledge"
                )
        try:
            waited.result()
        except KafkaError as away:
            raise unwritten(away, "acknowledge") from away


@dataclass(frozen=True)
class HandedIn:
    """By whom, and how many bytes the request has."""

    sender: str
    size: int


@dataclass(frozen=True)
class Writing:
    """How much may be under way to the broker, and whose turn it is."""

    in_flight: InFlightLimiter
    turns: Turns

    async def in_windows(
        self,
        items: Sequence[Item],
        handed_in: HandedIn,
        send: Callable[[Sequence[Item], Begun], Awaitable[Future[None]]],
    ) -> RefusedError | None:
        """`send` for some of the items after the other, each when it is settled what became of those before. None when
        all are on the log. Otherwise one of them can never be; what became of each of the others is its own, and the
        last ones may not have been sent at all. Raises UnavailableError while none was refused: then all of it may be
        sent again."""
        refusal: RefusedError | None = None
        for start in range(0, len(items), WINDOW):
            window = items[start : start + WINDOW]
            size = handed_in.size * len(window) // len(items)
            try:
                await self.in_flight.written(size, partial(send, window))
            except RefusedError as refused:
                refusal = refusal or refused
            except UnavailableError:
                # Who heard only this would send all of it again, the refused one among it, for ever.
                if refusal is None:
                    raise
                break
        return refusal
