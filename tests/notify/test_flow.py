"""Notify as a process on the real broker, with a real receiver."""

import signal
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from schemas.alerts import Alert, Delivery
from services.notify.domain.guards import SETTLE
from services.notify.flow.restore import read_deliveries
from tests.notify.building import Pair, clock, day, hour, late_trigger
from tests.notify.conftest import Notify
from tests.receiver import STOP_WITHIN_SECONDS, Call, Receiver, eventually
from tests.warm import WarmProcess

LOW = 30.0
TAKEOVER_SECONDS = 45.0
"""The session of a dead leader lasts 10 s; the rest is for a machine that is busy with other tests."""


def stopped(process: WarmProcess) -> tuple[int, float]:
    """Exit code after SIGTERM, and the seconds it took."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    return process.wait(90), time.monotonic() - began


def test_low_health_reaches_a_person_signed_and_is_journaled(notify: Notify, receiver: Receiver) -> None:
    process = notify.start()
    notify.write(Pair().changed(hour(0), health=LOW), clock(day(2)))
    eventually(lambda: notify.states("4F2") == ["delivered"], what="the delivery")

    message = receiver.calls[0].verified()

    assert message["type"] == "mentoring.alert.fired"
    assert message["data"]["summary"].startswith("spruce: pair 4F2 is strained: health 30 (P3)")
    assert receiver.calls[0].webhook_id == notify.deliveries("4F2")[0].delivery_id
    assert notify.states("4F2", "log") == ["delivered"]
    fired, *outcomes = notify.alerts()
    assert isinstance(fired.data, Alert)
    assert fired.data.at == hour(24)
    assert [o.data.transition for o in outcomes if isinstance(o.data, Delivery)] == ["fired"] * 2
    assert '"event": "alert"' in notify.log()
    code, seconds = stopped(process)
    assert code == 0
    assert seconds < STOP_WITHIN_SECONDS
    assert '"level": "error"' not in notify.log()


def test_what_was_pending_at_a_stop_fires_after_the_restart(notify: Notify, receiver: Receiver) -> None:
    first = notify.start()
    notify.write(Pair().changed(hour(0), health=LOW))
    eventually(lambda: "batch_done" in notify.log(), what="the first batch")
    assert stopped(first)[0] == 0

    notify.write(clock(day(2)))
    notify.start()

    eventually(lambda: receiver.of("4F2"), what="the webhook")
    assert receiver.of("4F2")[0].data["since"] == "2024-05-01T00:00:00.000000Z"


def test_killed_while_sending_it_sends_again_under_the_same_id(notify: Notify, receiver: Receiver) -> None:
    killed = threading.Event()
    receiver.answer = lambda _: (200, {}) if killed.wait(90) else (500, {})
    first = notify.start()
    notify.write(Pair().changed(hour(0), health=LOW), clock(day(2)))
    eventually(lambda: receiver.of("4F2"), what="the first attempt")
    # The stuck receiver holds up neither the decisions nor the other channel.
    notify.write(Pair("other").changed(day(2), health=LOW), clock(day(4)))
    eventually(lambda: notify.states("other", "log") == ["delivered"], what="the log channel")
    assert notify.states("4F2") == ["started"]

    first.kill()
    first.wait(10)
    killed.set()
    notify.start()
    eventually(lambda: notify.states("4F2") == ["delivered"], what="the delivery")
    eventually(lambda: notify.states("other") == ["delivered"], what="the delivery of the other")

    assert len(receiver.of("4F2")) == 2
    assert len({call.webhook_id for call in receiver.of("4F2")}) == 1
    assert len({call.body for call in receiver.of("4F2")}) == 1
    fired = [event for event in notify.alerts() if event.type == "mentoring.alert.changed.v1"]
    assert len(fired) == 2


def test_a_second_instance_stands_by_and_takes_over_when_the_first_is_killed(
    notify: Notify, receiver: Receiver
) -> None:
    first = notify.start()
    notify.write(Pair("first").changed(hour(0), health=LOW))
    eventually(lambda: "batch_done" in notify.log(0), what="the first batch of the leader")
    second = notify.start()
    eventually(lambda: "standing_by" in notify.log(1), what="the standby")

    first.kill()
    first.wait(10)
    notify.write(Pair("second").changed(hour(0), health=LOW), clock(day(2)))

    eventually(lambda: receiver.of("first") and receiver.of("second"), TAKEOVER_SECONDS, what="both alerts")
    fired = [event for event in notify.alerts() if event.type == "mentoring.alert.changed.v1"]
    assert sorted(event.subject for event in fired) == ["first", "second"]
    assert stopped(second)[0] == 0


def test_whoever_stands_by_for_longest_takes_over(notify: Notify) -> None:
    first = notify.start()
    eventually(lambda: "restored" in notify.log(0), what="the leader")
    for number in (1, 2, 3):
        notify.start()
        eventually(partial(_says, notify, number, "standing_by"), what=f"standby {number}")

    first.kill()
    first.wait(10)

    eventually(lambda: any(_says(notify, n, "restored") for n in (1, 2, 3)), TAKEOVER_SECONDS, what="the takeover")
    assert [n for n in (1, 2, 3) if _says(notify, n, "leading")] == [1]


def _says(notify: Notify, number: int, event: str) -> bool:
    return f'"event": "{event}"' in notify.log(number)


def test_a_leader_that_was_away_for_too_long_writes_nothing_more_and_stands_by_again(
    notify: Notify, receiver: Receiver
) -> None:
    older = notify.start()
    notify.write(Pair("first").changed(hour(0), health=LOW))
    eventually(lambda: "batch_done" in notify.log(0), what="the first batch of the leader")
    newer = notify.start()
    eventually(lambda: "standing_by" in notify.log(1), what="the standby")

    older.send_signal(signal.SIGSTOP)
    eventually(lambda: "restored" in notify.log(1), TAKEOVER_SECONDS, what="the takeover")
    older.send_signal(signal.SIGCONT)
    notify.write(Pair("second").changed(hour(0), health=LOW), clock(day(2)))

    eventually(lambda: receiver.of("first") and receiver.of("second"), what="both alerts")
    eventually(lambda: "leadership_lost" in notify.log(0), what="the older knows")
    fired = [event for event in notify.alerts() if event.type == "mentoring.alert.changed.v1"]
    assert sorted(event.subject for event in fired) == ["first", "second"]
    assert [stopped(older)[0], stopped(newer)[0]] == [0, 0]


def test_a_receiver_that_fails_is_tried_again_and_one_that_refuses_is_not(notify: Notify, receiver: Receiver) -> None:
    def answer(call: Call) -> tuple[int, Mapping[str, str]]:
        relationship = call.data["relationship"]
        if relationship == "refused":
            return 422, {}
        first = len(receiver.of(relationship)) == 1
        return {"fails": (500, {}), "busy": (429, {"retry-after": "1"})}[relationship] if first else (200, {})

    receiver.answer = answer
    notify.start()
    pairs = [Pair(name) for name in ("fails", "busy", "refused")]
    notify.write(*(pair.changed(hour(0), health=LOW) for pair in pairs), clock(day(2)))
    outcomes = [["delivered"], ["delivered"], ["dead"]]
    eventually(lambda: [notify.states(pair.relationship) for pair in pairs] == outcomes, what="the outcomes")

    assert [len(receiver.of(pair.relationship)) for pair in pairs] == [2, 2, 1]
    assert len({call.webhook_id for call in receiver.of("fails")}) == 1
    assert notify.deliveries("refused")[0].status == "HTTP 422"
    assert notify.deliveries("fails")[0].attempt == 2


def test_while_scores_are_behind_the_wall_clock_nothing_is_sent(notify: Notify, receiver: Receiver) -> None:
    wall = datetime.now(UTC)
    notify.start(RAPPORT_CLOCK="wall")
    ago = wall - timedelta(days=3)
    notify.write(Pair().changed(ago, health=LOW, last_contact=ago), clock(wall - timedelta(hours=2)))
    eventually(lambda: notify.states("4F2") == ["held"], what="the plan")
    time.sleep(0.5)
    assert receiver.calls == []

    notify.write(clock(wall))

    eventually(lambda: receiver.of("4F2"), what="the webhook")


def test_a_record_that_is_no_score_is_reported_and_the_next_one_is_handled(notify: Notify, receiver: Receiver) -> None:
    notify.start()
    notify.write_bytes([(b"acme/4F2", b'{"type": "mentoring.score.changed.v1"}'), (None, b"\xff")])
    notify.write(Pair().changed(hour(0), health=LOW), clock(day(2)))

    eventually(lambda: receiver.of("4F2"), what="the webhook")

    assert notify.log().count("score_refused") == 2


def test_a_receiver_that_hangs_does_not_hold_up_the_stop(notify: Notify, receiver: Receiver) -> None:
    hanging = threading.Event()
    receiver.answer = lambda _: (200, {}) if hanging.wait(90) else (500, {})
    process = notify.start()
    notify.write(Pair().changed(hour(0), health=LOW), clock(day(2)))
    eventually(lambda: receiver.of("4F2"), what="the attempt")

    code, seconds = stopped(process)
    hanging.set()

    assert code == 0
    assert seconds < STOP_WITHIN_SECONDS
    assert notify.states("4F2") == ["started"]


def test_hundreds_of_alerts_leave_within_seconds(notify: Notify, receiver: Receiver) -> None:
    pairs = [Pair(f"pair-{number}") for number in range(300)]
    notify.start()
    notify.write(*(pair.changed(hour(0), health=LOW, risk=0.9) for pair in pairs), clock(day(2)))

    # Two of each pair, and one of their programme, which shifts.
    eventually(lambda: len({call.webhook_id for call in receiver.calls}) == 601, 120, "601 webhooks")
    eventually(lambda: {d.state for d in read_deliveries(notify.settings, notify.names)} == {"delivered"})

    assert len(receiver.calls) == 601


def test_an_imported_history_is_one_digest_of_who_is_at_risk_now(notify: Notify, receiver: Receiver) -> None:
    wall = datetime.now(UTC)
    ago, late = wall - timedelta(days=2), late_trigger(wall - timedelta(days=700), wall)
    pairs = [Pair(f"pair-{number}") for number in range(3)]
    notify.start(RAPPORT_CLOCK="wall")
    for pair in pairs:
        notify.write(
            pair.corrected(ago, health=LOW, last_contact=ago),
            pair.changed(wall, health=LOW, last_contact=ago, trigger=late),
        )
    notify.write(clock(wall))
    eventually(lambda: notify.log().count("batch_done"), what="the history")
    assert receiver.calls == []

    notify.write(clock(wall + SETTLE + timedelta(minutes=1)))
    eventually(lambda: notify.states("pair-0") == ["delivered"], what="the digest")

    (digest,) = notify.deliveries("pair-0")
    assert [item.relationship for item in digest.items] == ["pair-1", "pair-2"]
    assert len(receiver.calls) == 1
    fired = [event.data for event in notify.alerts() if isinstance(event.data, Alert)]
    assert [alert.not_sent for alert in fired] == [None] * 3
