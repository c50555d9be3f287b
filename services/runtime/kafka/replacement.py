"""A new producer in place of one that a refusal has made useless, and what shared a batch with the refused record."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError

from services.runtime import log
from services.runtime.kafka.records import (
    OF_AUTHORIZATION,
    OF_THE_RECORD,
    Awaited,
    OutgoingRecord,
    ProducerReplacedError,
    RecordRefusedError,
)
from services.runtime.kafka.together import TopicLimits

# Within this a useless producer has failed all that it held; what it sent before may still come onto the log.
CLOSE_SECONDS = 2.0
# A record that is sent alone waits for its acknowledgement at most so long; its sender then sends it again.
ALONE_SECONDS = 10.0
# Between two tries to connect, and after a refusal of authorization, which a new producer alone does not mend.
PAUSE_SECONDS = 1.0


class Suspect(NamedTuple):
    """A record, and who waits for it."""

    outgoing: OutgoingRecord
    awaited: Awaited


class Replacement:
    """`run` is for one thread of its own, all else for any."""

    def __init__(
        self, client: KafkaProducer, refusal: Exception, connect: Callable[[], KafkaProducer], limits: TopicLimits
    ) -> None:
        self._client, self._refusal, self._connect, self._limits = client, refusal, connect, limits
        self._batch: Any = None
        self._suspects: list[Suspect] | None = []
        self._lock = threading.Lock()
        self._stopping, self._ended = threading.Event(), threading.Event()
        self._log = log.get(__name__)

    def takes(self, client: KafkaProducer, batch: object, suspect: Suspect) -> bool:
        """Whether the record will be sent again alone: it was in the batch that the broker has refused first."""
        if not isinstance(self._refusal, OF_THE_RECORD) or client is not self._client:
            return False
        with self._lock:
            self._batch = self._batch or batch
            if self._suspects is None or batch is not self._batch:
                return False
            self._suspects.append(suspect)
            return True

    def run(self) -> KafkaProducer | None:
        """The new producer, when every suspect is settled; None when it was stopped before."""
        began = time.monotonic()
        # 1. The useless one fails all that it holds: from then on every suspect is known.
        _close(self._client)
        with self._lock:
            suspects, self._suspects = self._suspects or [], None
        resent = len(suspects)
        # 2. Each suspect alone: who is refused now is the one.
        try:
            client, refused = self._tried(suspects)
        except ProducerReplacedError as stopped:
            for suspect in suspects:
                suspect.awaited.fail(stopped)
            return None
        seconds = round(time.monotonic() - began, 3)
        self._log.error("producer_replaced", reason=str(self._refusal), resent=resent, refused=refused, seconds=seconds)
        return client

    def stop(self) -> None:
        self._stopping.set()

    def end(self) -> None:
        self._ended.set()

    def wait(self, timeout: float) -> bool:
        return self._ended.wait(timeout)

    def _tried(self, suspects: list[Suspect]) -> tuple[KafkaProducer, int]:
        if isinstance(self._refusal, OF_AUTHORIZATION):
            self._stopping.wait(PAUSE_SECONDS)
        client, refused = self._connected(), 0
        if suspects:
            self._limits.refresh()
        while suspects:
            suspect = suspects[0]
            failure = _failure_of(client, suspect)
            if isinstance(failure, OF_THE_RECORD):
                refused += self._refuse(suspect, failure)
            # It is settled: who stops this while it connects settles only those that are left.
            del suspects[0]
            if isinstance(failure, OF_THE_RECORD):
                _close(client)
                client = self._connected()
        return client, refused

    def _refuse(self, suspect: Suspect, failure: KafkaError) -> bool:
        topic = suspect.outgoing.topic
        if self._limits.is_sealed(topic):
            suspect.awaited.fail(ProducerReplacedError(f"{topic} is sealed: {failure}"))
            return False
        suspect.awaited.fail(RecordRefusedError(topic, failure))
        return True

    def _connected(self) -> KafkaProducer:
        """Raises ProducerReplacedError when it was stopped."""
        while not self._stopping.is_set():
            try:
                return self._connect()
            except (KafkaError, OSError) as away:
                self._log.warning("producer_not_replaced", reason=str(away))
                self._stopping.wait(PAUSE_SECONDS)
        raise ProducerReplacedError("the producer is closed")


def _failure_of(client: KafkaProducer, suspect: Suspect) -> KafkaError | None:
    """Sends it alone. What is the record's own fault is returned and not told yet."""
    try:
        sent = client.send(*suspect.outgoing)
        # Nothing is gathered: of five hundred, each would wait for others that do not come.
        client.flush(ALONE_SECONDS)
        metadata = sent.get(ALONE_SECONDS)
    except OF_THE_RECORD as refusal:
        return refusal
    except KafkaError as away:
        suspect.awaited.fail(away)
        return away
    suspect.awaited.succeed(metadata)
    return None


def _close(client: KafkaProducer) -> None:
    # It says that what it held is not on the log, and every sender has been told that already.
    with suppress(KafkaError):
        client.close(timeout=CLOSE_SECONDS)
