"""What the answer of a receiver means, and what waits for whom."""

from datetime import timedelta
from email.utils import format_datetime

import pytest

from schemas.alerts import Delivery
from services.notify.domain.attempts import Answer, backoff, refused, settled, started
from services.notify.domain.decisions import Destination, alert_changed, planned
from services.notify.domain.outbox import Outbox, in_order
from services.notify.domain.verdict import Again, Arrived, Never, Verdict, of_answer
from tests.notify.building import Pair, clock, day, hour, new_desk, take

NOW = day(50)
SECOND = timedelta(seconds=1)


def deliveries(relationship: str = "4F2", *, decided_at: float = 40) -> list[Delivery]:
    """Of one episode: fired, escalated, resolved."""
    pair = Pair(relationship=relationship)
    rows = (pair.changed(hour(0), health=38.0), pair.changed(day(2), health=20.0), pair.changed(day(4), health=90.0))
    transitioned = take(new_desk(), *rows, clock(day(30)))
    return [d for h in transitioned for d in planned(alert_changed(h, day(decided_at)), [Destination("log", "log")])]


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (200, Arrived("HTTP 200")),
        (204, Arrived("HTTP 204")),
        (302, Never("HTTP 302: redirects are not followed")),
        *[(code, Never(f"HTTP {code}")) for code in (400, 401, 403, 404, 410, 413, 422)],
        *[(code, Again(f"HTTP {code}")) for code in (408, 425, 429, 500, 502, 503, 504)],
    ],
)
def test_an_answer_says_whether_to_try_again(code: int, verdict: Verdict) -> None:
    assert of_answer(code, None, NOW) == verdict


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7 * SECOND),
        ("0", 0 * SECOND),
        ("9" * 30, timedelta(days=10)),
        (format_datetime(NOW + 90 * SECOND, usegmt=True), 90 * SECOND),
        (format_datetime(NOW - 90 * SECOND, usegmt=True), 0 * SECOND),
        ("Wed, 01 May 2024 00:00:00", None),
        ("soon", None),
        ("-1", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, wait: timedelta | None) -> None:
    assert of_answer(503, header, NOW) == Again("HTTP 503", wait)


def test_the_wait_doubles_from_a_second_to_five_minutes_with_full_jitter() -> None:
    assert [backoff(n, 1.0).total_seconds() for n in (1, 2, 3, 9, 10, 1000)] == [1, 2, 4, 256, 300, 300]
    assert backoff(5, 0.0) == timedelta(0)
    assert backoff(3, 0.5) == 2 * SECOND


def test_a_delivery_lives_from_planned_to_delivered() -> None:
    begun = started(deliveries()[0], NOW)
    done = settled(begun, Answer(Arrived("HTTP 200"), NOW + SECOND, 0.25), jitter=1.0)

    assert (begun.state, begun.attempt, begun.started_at) == ("started", 1, NOW)
    assert (done.state, done.status, done.latency_seconds, done.changed_at) == (
        "delivered",
        "HTTP 200",
        0.25,
        NOW + SECOND,
    )


def test_a_refused_delivery_is_dead() -> None:
    dead = settled(started(deliveries()[0], NOW), Answer(Never("HTTP 404"), NOW, 0.1), jitter=1.0)

    assert (dead.state, dead.status) == ("dead", "HTTP 404")
    assert refused(deliveries()[0], "gone", NOW).state == "dead"


def test_a_failed_attempt_is_planned_again_and_retry_after_wins() -> None:
    begun = started(deliveries()[0], NOW)

    later = settled(begun, Answer(Again("HTTP 500"), NOW, 0.1), jitter=0.5)
    told = settled(begun, Answer(Again("HTTP 429", 600 * SECOND), NOW, 0.1), jitter=0.5)

    assert (later.state, later.due_at, later.status) == ("planned", NOW + 0.5 * SECOND, "HTTP 500")
    assert told.due_at == NOW + 600 * SECOND
    assert started(later, NOW + SECOND).attempt == 2
    assert started(later, NOW + SECOND).started_at == NOW


def test_old_news_is_given_up() -> None:
    begun = started(deliveries()[0], NOW)

    dead = settled(begun, Answer(Again("HTTP 500"), NOW + timedelta(hours=24), 0.1), jitter=0.5)

    assert (dead.state, dead.status) == ("dead", "given up after 1 attempts: HTTP 500")


def test_the_transitions_of_an_episode_go_one_after_the_other() -> None:
    first, second, third = deliveries()
    outbox = Outbox()
    for delivery in (first, second, third):
        outbox.add(delivery)

    assert outbox.hand_out(NOW, 9) == [first]
    assert outbox.hand_out(NOW, 9) == []
    assert (len(outbox), outbox.in_hands) == (3, 1)
    outbox.take_back(first.model_copy(update={"state": "delivered"}))
    assert outbox.hand_out(NOW, 9) == [second]
    outbox.take_back(second.model_copy(update={"state": "dead"}))
    assert outbox.hand_out(NOW, 9) == [third]
    outbox.take_back(third.model_copy(update={"state": "delivered"}))
    assert (len(outbox), outbox.in_hands) == (0, 0)


def test_what_failed_waits_and_holds_up_its_own_episode_only() -> None:
    stuck, follower, _ = deliveries("stuck")
    other = deliveries("other")[0]
    outbox = Outbox()
    for delivery in (stuck, follower, other):
        outbox.add(delivery)
    assert outbox.hand_out(NOW, 1) == [stuck]

    again = stuck.model_copy(update={"due_at": NOW + SECOND})
    outbox.take_back(again)

    assert outbox.hand_out(NOW, 9) == [other]
    assert outbox.hand_out(NOW + SECOND, 9) == [again]


def test_nothing_is_handed_out_before_it_is_due() -> None:
    outbox = Outbox()
    outbox.add(deliveries(decided_at=51)[0])

    assert outbox.hand_out(NOW, 9) == []


def test_after_a_restart_the_order_is_that_of_the_decisions() -> None:
    first, second = deliveries("a", decided_at=41), deliveries("b", decided_at=40)

    assert in_order([*reversed(first), *reversed(second)]) == [*second, *first]
