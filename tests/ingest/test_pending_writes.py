from concurrent.futures import Future

import pytest

from services.ingest.flow import in_flight as module
from services.ingest.flow.in_flight import PendingWrites
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
    pending_writes = PendingWrites()
    pending_writes.add(written(), never_again)

    pending_writes.settle()
    pending_writes.settle()


def test_what_failed_is_sent_again_before_anything_else_is_decided() -> None:
    pending_writes, sent = PendingWrites(), []

    def again() -> Future[None]:
        sent.append("again")
        return written()

    pending_writes.add(written(KafkaError("away")), again)
    pending_writes.add(written(), never_again)

    with pytest.raises(TryLaterError):
        pending_writes.settle()
    pending_writes.settle()

    assert sent == ["again"]


def test_what_cannot_even_be_sent_is_still_owed() -> None:
    pending_writes, tries = PendingWrites(), []

    def again() -> Future[None]:
        tries.append("try")
        if len(tries) == 1:
            raise KafkaError("away")
        return written()

    pending_writes.add(written(KafkaError("away")), again)
    for _ in range(2):
        with pytest.raises(TryLaterError):
            pending_writes.settle()

    pending_writes.settle()

    assert len(tries) == 2


def test_a_pending_write_is_awaited_and_not_sent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SECONDS", 0.01)
    pending_writes, under_way = PendingWrites(), Future[None]()
    pending_writes.add(under_way, never_again)

    with pytest.raises(TryLaterError):
        pending_writes.settle()
    under_way.set_result(None)

    pending_writes.settle()
