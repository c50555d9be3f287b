"""While people act all the time, the leader freezes for longer than its session, comes back, and its successors are
killed: each act is applied once, and those on one alert in their order."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pytest

from schemas.alert_commands import AlertCommand, AlertReference
from services.notify.domain.ids import AlertSubject, alert_key, dedup_key
from services.runtime.kafka import Producer, await_acknowledged
from tests.notify.building import Pair, clock, day, hour
from tests.notify.conftest import Notify
from tests.receiver import eventually

RULE, PAIRS = "disengaging", 10
ACT_SECONDS, SCORE_SECONDS = 0.1, 0.4
A_WHILE_SECONDS = 2.0
"""So that much is done before the next one dies."""
TAKEOVER_SECONDS = 120.0


def quiet(notify: Notify, pair: str, at: float) -> None:
    notify.write(Pair(pair).changed(hour(at), risk=0.9, last_contact=day(-20)), clock(hour(at + 30)))


def given_to(number: int) -> bytes:
    """The alert of a pair to one person after the other."""
    pair = f"pair-{number % PAIRS}"
    key = dedup_key(alert_key(AlertSubject("acme", "relationship", pair, "spruce"), RULE), 1)
    command = AlertCommand.model_validate(
        {
            "id": f"given-{number}",
            "tenant": "acme",
            "by": "p-3",
            "at": datetime.now(UTC),
            "programs": None,
            "act": {"kind": "assign", "assignee": f"p-{number}"},
            "alert": AlertReference(subject_kind="relationship", subject=pair, rule=RULE, dedup_key=key),
        }
    )
    return command.model_dump_json().encode()


@contextmanager
def acting(notify: Notify) -> Iterator[list[int]]:
    """Somebody acts, and scores come, until the block ends. Gives the numbers of the acts that are on the topic."""
    ended, done = threading.Event(), list[int]()
    producer = Producer(notify.settings)

    def act() -> None:
        while not ended.wait(ACT_SECONDS):
            await_acknowledged([producer.send(notify.names.commands, b"k", given_to(len(done)))])
            done.append(len(done))

    def score() -> None:
        number = 0
        while not ended.wait(SCORE_SECONDS):
            number += 1
            quiet(notify, f"other-{number}", number)

    threads = [threading.Thread(target=one) for one in (act, score)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        producer.close()


def applied(notify: Notify) -> dict[str, list[int]]:
    """By pair, in their order."""
    found: dict[str, list[int]] = {}
    for event in notify.alerts():
        if event.type == "mentoring.alert.handled.v1":
            assert event.data.refused is None
            found.setdefault(event.subject, []).append(int((event.data.handling.assignee or "")[2:]))
    return found


def changed(notify: Notify) -> list[str]:
    return [event.id for event in notify.alerts() if event.type == "mentoring.alert.changed.v1"]


def leads(notify: Notify, number: int) -> bool:
    log = notify.log(number)
    return log.rfind('"restored"') > log.rfind('"leadership_lost"')


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_acts_are_applied_once_and_in_order_while_leaders_freeze_and_die(notify: Notify) -> None:
    notify.start()
    eventually(lambda: leads(notify, 0), TAKEOVER_SECONDS, "the first leader")
    notify.start()
    for number in range(PAIRS):
        quiet(notify, f"pair-{number}", 0)
    eventually(lambda: len(changed(notify)) == PAIRS, TAKEOVER_SECONDS, "the alerts")
    frozen, successor = notify.processes

    with acting(notify) as done:
        time.sleep(A_WHILE_SECONDS)
        frozen.send_signal(signal.SIGSTOP)
        eventually(lambda: leads(notify, 1), TAKEOVER_SECONDS, "the successor")
        time.sleep(A_WHILE_SECONDS)
        frozen.send_signal(signal.SIGCONT)
        time.sleep(A_WHILE_SECONDS)
        successor.send_signal(signal.SIGKILL)
        handled = sum(map(len, applied(notify).values()))
        eventually(lambda: sum(map(len, applied(notify).values())) > handled, TAKEOVER_SECONDS, "who came back")
        frozen.send_signal(signal.SIGKILL)
        notify.start()
        eventually(lambda: leads(notify, 2), TAKEOVER_SECONDS, "the third")
        time.sleep(A_WHILE_SECONDS)

    with suppress(AssertionError):  # what differs says more
        eventually(lambda: sum(map(len, applied(notify).values())) >= len(done), 60)
    wanted = {f"pair-{number}": done[number::PAIRS] for number in range(PAIRS)}
    assert applied(notify) == wanted
    found = changed(notify)
    assert len(found) == len(set(found))
