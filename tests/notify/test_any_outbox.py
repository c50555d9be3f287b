"""An outbox under any sequence of what may happen to it."""

from collections import Counter
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Delivery
from services.notify.domain.deliveries import (
    AttemptResult,
    DeliveryAccepted,
    DestinationDown,
    MessageRejected,
    OutcomeUnknown,
    RetryLater,
    Verdict,
    apply_result,
    has_ended,
    start_attempt,
)
from services.notify.domain.outbox import Outbox, SendLimits
from tests.notify.building import day
from tests.notify.sending import episode

EPISODES = [episode("slack", "chat", f"pair-{number}") for number in range(4)]
VERDICTS: tuple[Verdict, ...] = (
    DeliveryAccepted("HTTP 200"),
    RetryLater("HTTP 500"),
    RetryLater("HTTP 503", timedelta(seconds=9)),
    OutcomeUnknown("ReadError"),
    MessageRejected("HTTP 400"),
    DestinationDown("HTTP 410"),
    DestinationDown("HTTP 429", timedelta(seconds=30)),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, len(EPISODES) - 1)),
        st.tuples(st.just("pass"), st.integers(0, 400)),
        st.tuples(st.just("answer"), st.integers(0, len(VERDICTS) - 1)),
    ),
    max_size=60,
)


class Watched:
    """An outbox, and beside it what has become of each delivery."""

    def __init__(self, pace: SendLimits) -> None:
        self.outbox = Outbox(pace)
        self.now: datetime = day(9)
        self.pace = pace
        self.added: Counter[int] = Counter()
        self.in_flight: list[Delivery] = []
        self.handed_at: list[datetime] = []
        self.ended: list[Delivery] = []

    def step(self, kind: str, number: int) -> None:
        match kind:
            case "add" if self.added[number] < len(EPISODES[number]):
                needless = self.outbox.add(EPISODES[number][self.added[number]])
                assert all(one.state == "unknown" for one in needless)
                self.ended += needless
                self.added[number] += 1
            case "pass":
                self.now += timedelta(seconds=number)
            case "answer" if self.in_flight:
                self.settle(VERDICTS[number])
        self.poll_due()

    def poll_due(self) -> None:
        was_parked = self.outbox.parked is not None
        handed = self.outbox.poll_due(self.now)
        assert not (was_parked and len(handed) + len(self.in_flight) > max(1, len(self.in_flight)))
        self.in_flight += [start_attempt(one, self.now) for one in handed]
        self.handed_at += [self.now] * len(handed)

    def settle(self, verdict: Verdict) -> None:
        delivery = self.in_flight.pop(0)
        outcome = apply_result(delivery, AttemptResult(verdict, self.now, 0.1), jitter=1.0)
        self.outbox.complete(outcome)
        if isinstance(verdict, DestinationDown):
            self.outbox.park(verdict.status, self.now, verdict.wait, jitter=1.0)
        if isinstance(verdict, RetryLater | OutcomeUnknown):
            self.outbox.record_failure(verdict.status, self.now, None, jitter=1.0)
        if isinstance(verdict, DeliveryAccepted):
            self.outbox.open()
        if has_ended(outcome):
            self.ended.append(outcome)


@given(STEPS, st.integers(1, 3), st.integers(1, 3))
def test_nothing_is_lost_overtaken_sent_twice_at_once_or_faster_than_its_pace(
    steps: list[tuple[str, int]], in_flight: int, most: int
) -> None:
    span = timedelta(seconds=60)
    watched = Watched(SendLimits(in_flight, most, span))
    for kind, number in steps:
        watched.step(kind, number)
        assert len(watched.in_flight) <= in_flight
        assert len({one.dedup_key for one in watched.in_flight}) == len(watched.in_flight)
    # In the end all is well again, and all that was added ends.
    for _ in range(200):
        watched.step("pass", 400)
        watched.step("answer", 0)

    added = [one.delivery_id for number, count in watched.added.items() for one in EPISODES[number][:count]]
    assert sorted(one.delivery_id for one in watched.ended) == sorted(added)
    assert len(watched.outbox) == watched.outbox.in_flight == 0
    for number in range(len(EPISODES)):
        key = EPISODES[number][0].dedup_key
        order = [one.transition for one in watched.ended if one.dedup_key == key and one.state != "superseded"]
        assert order == [one.transition for one in EPISODES[number] if one.transition in order]
    window = zip(watched.handed_at, watched.handed_at[most:], strict=False)
    assert all(later - earlier >= span for earlier, later in window)
