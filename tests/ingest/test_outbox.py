from concurrent.futures import Future

import pytest

from services.ingest.flow.tools import outbox as module
from services.ingest.flow.tools.outbox import Outbox
from services.runtime.kafka import KafkaError
from services.runtime.loop import TryLaterError


def written(failure: KafkaError | None = None) -> Future[None]:
    future: Future[None] = Future()
    if failure:
        future.set_exception(failure)
    else:
        future.set_result(None)
    return future


def never_again() -> Future[None]:
    raise AssertionError("it is on the log")


def test_what_is_acknowledged_is_not_sent_again() -> None:
    outbox = Outbox()
    outbox.owe(written(), never_again)

    outbox.settle()
    outbox.settle()


def test_what_failed_is_sent_again_before_anything_else_is_decided() -> None:
    outbox, sent = Outbox(), []

    def again() -> Future[None]:
        sent.append("again")
        return written()

    outbox.owe(written(KafkaError("away")), again)
    outbox.owe(written(), never_again)

    with pytest.raises(TryLaterError):
        outbox.settle()
    outbox.settle()

    assert sent == ["again"]


def test_what_cannot_even_be_sent_is_still_owed() -> None:
    outbox, tries = Outbox(), []

    def again() -> Future[None]:
        tries.append("try")
        if len(tries) == 1:
            raise KafkaError("away")
        return written()

    outbox.owe(written(KafkaError("away")), again)
    for _ in range(2):
        with pytest.raises(TryLaterError):
            outbox.settle()

    outbox.settle()

    assert len(tries) == 2


def test_what_is_still_under_way_is_waited_for_and_not_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SECONDS", 0.01)
    outbox, under_way = Outbox(), Future[None]()
    outbox.owe(under_way, never_again)

    with pytest.raises(TryLaterError):
        outbox.settle()
    under_way.set_result(None)

    outbox.settle()
