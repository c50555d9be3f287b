"""From what a request holds to the log: admitted, written, and waited for."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.ingest.domain.admission import admit
from services.ingest.domain.clock import Clock
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.acknowledged import all_of
from services.ingest.flow.recorder import Receipt, Recorder
from services.runtime.kafka import KafkaError

# A stop ends a wait for the broker within this; the process has 2 s in all.
STOP_NOTICED_SECONDS = 0.5
LONGEST_ID_SHOWN = 256


class UnavailableError(Exception):
    """Nothing was promised: the same request may be sent again."""


@dataclass(frozen=True)
class Outcome:
    """`id` as on the log if it got there, else as the sender wrote it, if that can be read."""

    id: str | None
    result: Receipt | Rejected


class Intake:
    """For one event loop. `limit` bounds the bytes of requests that wait for the broker; when `stop` is set, those
    that still wait are given up."""

    def __init__(self, recorder: Recorder, clock: Callable[[], Clock], limit: int, stop: threading.Event) -> None:
        self._recorder, self._clock, self._limit, self._stop = recorder, clock, limit, stop
        self.outstanding = 0

    async def take(self, raw_events: Sequence[object], size: int, scope: Scope) -> list[Outcome]:
        """Returns when every admitted event is on the log. `size` is of the request, in bytes.
        Raises UnavailableError when the broker is away or too much waits for it already."""
        if self.outstanding + size > self._limit:
            raise UnavailableError("too many events wait for the broker")
        self.outstanding += size
        try:
            return await self._taken(raw_events, scope)
        except KafkaError as away:
            raise UnavailableError(f"the broker does not acknowledge: {away}") from away
        finally:
            self.outstanding -= size

    async def _taken(self, raw_events: Sequence[object], scope: Scope) -> list[Outcome]:
        clock = self._clock()
        outcomes = [self._outcome(raw, scope, clock) for raw in raw_events]
        receipts = [outcome.result for outcome in outcomes if isinstance(outcome.result, Receipt)]
        await self._acknowledged(asyncio.wrap_future(all_of(receipt.written for receipt in receipts)))
        return outcomes

    async def _acknowledged(self, written: asyncio.Future[None]) -> None:
        while not (await asyncio.wait([written], timeout=STOP_NOTICED_SECONDS))[0]:
            if self._stop.is_set():
                written.cancel()
                raise UnavailableError("the gateway stops")
        written.result()

    def _outcome(self, raw: object, scope: Scope, clock: Clock) -> Outcome:
        verdict = admit(raw, scope, clock)
        if isinstance(verdict, Rejected):
            return Outcome(_id_of(raw), verdict)
        return Outcome(verdict.event.id, self._recorder.record(verdict.event))


def _id_of(raw: object) -> str | None:
    given = raw.get("id") if isinstance(raw, dict) else None
    return given[:LONGEST_ID_SHOWN] if isinstance(given, str) else None
