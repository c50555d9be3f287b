"""The life of one delivery: planned, started, and delivered, dead, or planned again for later."""

from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from schemas.alerts import Delivery, DeliveryState, Urgency
from schemas.primitives import Instant
from services.notify.domain.verdict import Again, Arrived, Never, Verdict

FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=5)
# After this time from the first attempt the news is old: somebody must look at the dead letters instead.
GIVE_UP: dict[Urgency, timedelta] = {"P1": timedelta(minutes=15), "P2": timedelta(hours=8), "P3": timedelta(hours=24)}
LONGEST_STATUS = 512
"""As the schema admits."""


@dataclass(frozen=True)
class Answer:
    """What came of an attempt, when, and after how many seconds."""

    verdict: Verdict
    at: Instant
    seconds: float


def started(delivery: Delivery, at: Instant) -> Delivery:
    return delivery.model_copy(
        update={
            "state": "started",
            "attempt": delivery.attempt + 1,
            "started_at": delivery.started_at or at,
            "changed_at": at,
            "status": "",
            "latency_seconds": None,
        }
    )


def settled(delivery: Delivery, answer: Answer, jitter: float) -> Delivery:
    """`jitter`: a random number from 0 to 1."""
    match answer.verdict:
        case Arrived(status):
            return _ended(delivery, answer, "delivered", status)
        case Never(status):
            return _ended(delivery, answer, "dead", status)
        case Again(status, wait):
            due = answer.at + (wait if wait is not None else backoff(delivery.attempt, jitter))
            if due - (delivery.started_at or answer.at) > GIVE_UP[delivery.alert.urgency]:
                return _ended(delivery, answer, "dead", f"given up after {delivery.attempt} attempts: {status}")
            return _ended(delivery, answer, "planned", status).model_copy(update={"due_at": due})
        case _:
            assert_never(answer.verdict)


def refused(delivery: Delivery, reason: str, at: Instant) -> Delivery:
    """It cannot even be tried."""
    return _ended(delivery, Answer(Never(reason), at, seconds=0.0), "dead", reason)


def backoff(attempt: int, jitter: float) -> timedelta:
    """Full jitter: anything from nothing to the bound, which doubles from 1 s to 5 min, so that many deliveries that
    failed together do not come back together."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempt - 1, 20)) * jitter


def _ended(delivery: Delivery, answer: Answer, state: DeliveryState, status: str) -> Delivery:
    return delivery.model_copy(
        update={
            "state": state,
            "status": status[:LONGEST_STATUS],
            "changed_at": answer.at,
            "latency_seconds": answer.seconds,
        }
    )
