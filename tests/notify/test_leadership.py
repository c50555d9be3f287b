"""How a term of the leading instance ends: always with one line that says so, whatever has ended it."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext

import pytest
from kafka import errors
from structlog.testing import capture_logs

from services.notify import service
from services.notify.flow.leadership import Leadership, LeadershipLostError
from services.notify.settings import NotifySettings
from services.runtime.kafka import KafkaError, is_fenced
from services.runtime.progress import LoopWatch
from tests.notify.building import Pair, hour
from tests.notify.conftest import Notify
from tests.receiver import eventually
from tests.warm import ROOT

SESSION_SECONDS = 10.0


def fenced_while_closing() -> None:
    """What was raised first is only the context of what closing raised."""
    try:
        raise errors.ProducerFencedError
    finally:
        raise TimeoutError("the senders have not ended")


def fenced_and_replaced() -> None:
    """As the producer reports it, when the records of a transaction fail before the commit does."""
    raise KafkaError("the producer was replaced meanwhile") from errors.ProducerFencedError()


def unexpected() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("term", "ends"),
    [(fenced_and_replaced, None), (fenced_while_closing, TimeoutError), (unexpected, ZeroDivisionError)],
)
def test_whatever_ends_a_term_says_that_it_has_ended(
    notify: Notify, monkeypatch: pytest.MonkeyPatch, term: Callable[[], None], ends: type[Exception] | None
) -> None:
    stop, terms = threading.Event(), list[int]()

    def lead(*_: object) -> None:
        terms.append(1)
        if len(terms) == 1:
            term()
        stop.set()

    monkeypatch.setattr(service, "_lead", lead)
    with capture_logs() as logs, pytest.raises(ends) if ends else nullcontext():
        service.serve(NotifySettings(kafka=notify.settings.kafka), notify.names, stop)

    assert [one["event"] for one in logs].count("leadership_lost") == 1


def test_a_failed_membership_is_lost_leadership(notify: Notify) -> None:
    found = Leadership(notify.settings, notify.names, LoopWatch())
    vars(found)["_failure"] = KafkaError("the group is gone")

    with pytest.raises(LeadershipLostError, match="the group is gone"):
        found.check()


def test_an_old_epoch_is_a_fence_too() -> None:
    assert is_fenced(errors.InvalidProducerEpochError())
    assert is_fenced(errors.KafkaError(errors.ProducerFencedError()))
    assert not is_fenced(errors.KafkaTimeoutError())


def test_a_leader_that_froze_for_longer_than_its_session_begins_anew_also_where_nobody_took_over(
    notify: Notify,
) -> None:
    """Another one may have led and died meanwhile: what the frozen one remembers may be old."""
    leader = notify.start()
    notify.write(Pair("first").changed(hour(0), health=30.0))
    eventually(lambda: "batch_done" in notify.log(), what="the first batch")

    leader.send_signal(signal.SIGSTOP)
    time.sleep(SESSION_SECONDS + 2)
    leader.send_signal(signal.SIGCONT)

    eventually(lambda: "leadership_lost" in notify.log(), 60, what="the word that it has lost it")
    eventually(lambda: notify.log().count('"restored"') == 2, 60, what="the second term")


BOUNDED = """
import sys, time
from services.notify.flow.journal import bounded
with bounded(3.0, "commit"):
    print("began", flush=True)
    time.sleep(1.5)
print("done", flush=True)
"""


def test_a_step_that_froze_with_the_process_is_not_stuck() -> None:
    """It would exit without a word about its leadership, though the broker still answers it."""
    process = subprocess.Popen(
        [sys.executable, "-c", BOUNDED], cwd=ROOT, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "began\n"
    process.send_signal(signal.SIGSTOP)
    time.sleep(4.0)
    process.send_signal(signal.SIGCONT)

    assert process.communicate(timeout=30)[0] == "done\n"
    assert process.returncode == 0
