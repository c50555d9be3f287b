"""The log of an attempt: what is written to it is kept in memory, and acknowledged at once."""

from collections.abc import Callable
from typing import Any

from schemas.directory import DirectoryStatement, Participant
from schemas.events import MENTORING_EVENT, MentoringEvent
from schemas.topics import DIRECTORY_STATEMENTS, EVENTS
from services.ingest.domain.people.participants import is_same, merged
from services.runtime.kafka import Awaited, Headers, OutgoingRecord


class _Acknowledged:
    """It is on the log."""

    def get(self, timeout: float | None = None) -> Any: ...  # noqa: ANN401 (as kafka-python's)

    def add_callback(self, callback: Any) -> Any:  # noqa: ANN401
        callback(None)

    def add_errback(self, errback: Any) -> Any: ...  # noqa: ANN401


class PretendedLog:
    """For one thread, in place of a producer. Whatever is written is read as whoever follows the log reads it, and what
    is said of people is merged as the projector does it."""

    def __init__(self, known: Callable[[str, str], Participant | None]) -> None:
        """`known`: whom the directory has before a statement, by tenant and id."""
        self._known = known
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
            assert topic == DIRECTORY_STATEMENTS.name, "an attempt writes events and what is said of people"
            self._merge(DirectoryStatement.model_validate_json(value or b""))
        return _Acknowledged()

    def _merge(self, statement: DirectoryStatement) -> None:
        known = self._known(statement.tenant, statement.id)
        found = merged(statement, known)
        if isinstance(found, Participant) and not is_same(found, known):
            self._participants.append(found)

    def send_for(self, awaited: Awaited, record: OutgoingRecord) -> None:
        self.send(record.topic, record.key, record.value, record.partition, record.headers)
        awaited.succeed(None)

    def taken(self) -> tuple[tuple[MentoringEvent, ...], tuple[Participant, ...]]:
        """Events and changed people since the last time."""
        found = tuple(self._events), tuple(self._participants)
        self._events, self._participants = [], []
        return found
