"""The log of an attempt: what is written to it is kept in memory, and acknowledged at once."""

from typing import Any

from schemas.directory import Participant
from schemas.events import MENTORING_EVENT, MentoringEvent
from schemas.topics import DIRECTORY, EVENTS
from services.runtime.kafka import Awaited, Headers, OutgoingRecord


class _Acknowledged:
    """It is on the log."""

    def get(self, timeout: float | None = None) -> Any: ...  # noqa: ANN401 (as kafka-python's)

    def add_callback(self, callback: Any) -> Any:  # noqa: ANN401
        callback(None)

    def add_errback(self, errback: Any) -> Any: ...  # noqa: ANN401


class PretendedLog:
    """For one thread, in place of a producer. Whatever is written is read as whoever follows the log reads it."""

    def __init__(self) -> None:
        self._events: list[MentoringEvent] = []
        self._participants: list[Participant] = []

    def partitions(self, topic: str) -> list[int]:
        return [0] if topic == EVENTS.name else []

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        headers: Headers = (),
    ) -> _Acknowledged:
        assert key, partition in {None, 0} and headers is not None
        if topic == EVENTS.name:
            self._events.append(MENTORING_EVENT.validate_json(value or b""))
        else:
            assert topic == DIRECTORY.name, "an attempt writes events and people"
            self._participants.append(Participant.model_validate_json(value or b""))
        return _Acknowledged()

    def send_for(self, awaited: Awaited, record: OutgoingRecord) -> None:
        self.send(record.topic, record.key, record.value, record.partition, record.headers)
        awaited.succeed(None)

    def taken(self) -> tuple[tuple[MentoringEvent, ...], tuple[Participant, ...]]:
        """What was written since the last time."""
        found = tuple(self._events), tuple(self._participants)
        self._events, self._participants = [], []
        return found
