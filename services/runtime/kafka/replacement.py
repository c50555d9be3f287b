"""Replaces a producer that a refusal has made unusable, and resends the records of the refused batch one by one."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError

from services.runtime import log
from services.runtime.kafka.records import (
    AUTHORIZATION_ERRORS,
    RECORD_ERRORS,
    OutcomeListener,
    OutgoingRecord,
    ProducerReplacedError,
    RecordRefusedError,
)
from services.runtime.kafka.write_group import TopicLimits

# Within this an unusable producer fails all its pending records; records it sent before may still reach the log.
CLOSE_SECONDS = 2.0
# The timeout of a record that is sent alone; its sender then sends it again.
ALONE_SECONDS = 10.0
# Between attempts to connect, and after an authorization failure, which a new producer alone does not resolve.
PAUSE_SECONDS = 1.0


class Suspect(NamedTuple):
    """A record of the refused batch, and the listener for its outcome."""

    outgoing: OutgoingRecord
    listener: OutcomeListener


def refusal_of(client: KafkaProducer) -> Exception | None:
    """Return the fatal error after which the client fails every record. kafka-python has no public accessor for it."""
    manager = client._transaction_manager  # noqa: SLF001
    return manager.last_error if manager is not None and manager.has_fatal_error() else None


def replaced_error(cause: Exception) -> ProducerReplacedError:
    """Return the error of a record that fails with its producer. What made the producer unusable is its cause."""
    replaced = ProducerReplacedError(f"the producer has been replaced: {cause}")
    replaced.__cause__ = cause
    return replaced


class Replacement:
    """`run` is for a thread of its own; the other methods are safe for any thread."""

    def __init__(
        self, client: KafkaProducer, refusal: Exception, connect: Callable[[], KafkaProducer], limits: TopicLimits
    ) -> None:
        self.refusal = refusal
        self._client, self._connect, self._limits = client, connect, limits
        self._batch: Any = None
        self._suspects: list[Suspect] | None = []
        self._lock = threading.Lock()
        self._stopping, self._ended = threading.Event(), threading.Event()
        self._log = log.get(__name__)

    def accepts(self, client: KafkaProducer, batch: object, suspect: Suspect) -> bool:
        """Return whether the record will be resent alone: it was in the batch that the broker refused first."""
        if not isinstance(self.refusal, RECORD_ERRORS) or client is not self._client:
            return False
        with self._lock:
            self._batch = self._batch or batch
            if self._suspects is None or batch is not self._batch:
                return False
            self._suspects.append(suspect)
            return True

    def run(self) -> KafkaProducer | None:
        """Return the new producer when every suspect is settled, or None if it was stopped before."""
        began = time.monotonic()
        # 1. The unusable producer fails its pending records: from then on all suspects are collected.
        _close(self._client)
        with self._lock:
            suspects, self._suspects = self._suspects or [], None
        resent = len(suspects)
        # 2. Each suspect is sent alone: the one that is refused now is at fault.
        try:
            client, refused = self._resend_alone(suspects)
        except ProducerReplacedError as stopped:
            for suspect in suspects:
                suspect.listener.fail(stopped)
            return None
        seconds = round(time.monotonic() - began, 3)
        self._log.error("producer_replaced", reason=str(self.refusal), resent=resent, refused=refused, seconds=seconds)
        return client

    def stop(self) -> None:
        self._stopping.set()

    def end(self) -> None:
        self._ended.set()

    def wait(self, timeout: float) -> bool:
        return self._ended.wait(timeout)

    def _resend_alone(self, suspects: list[Suspect]) -> tuple[KafkaProducer, int]:
        if isinstance(self.refusal, AUTHORIZATION_ERRORS):
            self._stopping.wait(PAUSE_SECONDS)
        client, refused = self._reconnect(), 0
        if suspects:
            self._limits.refresh()
        while suspects:
            suspect = suspects[0]
            failure = _send_alone(client, suspect)
            if isinstance(failure, RECORD_ERRORS):
                refused += self._refuse(suspect, failure)
            # It is settled. If `stop` comes while we reconnect, only the remaining suspects are failed.
            del suspects[0]
            if isinstance(failure, RECORD_ERRORS):
                _close(client)
                client = self._reconnect()
        return client, refused

    def _refuse(self, suspect: Suspect, failure: KafkaError) -> bool:
        topic = suspect.outgoing.topic
        if self._limits.is_sealed(topic):
            suspect.listener.fail(ProducerReplacedError(f"{topic} is sealed: {failure}"))
            return False
        suspect.listener.fail(RecordRefusedError(topic, failure))
        return True

    def _reconnect(self) -> KafkaProducer:
        """Raises ProducerReplacedError when it was stopped."""
        while not self._stopping.is_set():
            try:
                return self._connect()
            except (KafkaError, OSError) as away:
                self._log.warning("producer_not_replaced", reason=str(away))
                self._stopping.wait(PAUSE_SECONDS)
        raise ProducerReplacedError("the producer is closed")


def _send_alone(client: KafkaProducer, suspect: Suspect) -> KafkaError | None:
    """Send the record alone. Return an error that is the record's own fault without settling the record yet."""
    try:
        sent = client.send(*suspect.outgoing)
        # The flush avoids the linger: each of five hundred records would wait for others that do not come.
        client.flush(ALONE_SECONDS)
        metadata = sent.get(ALONE_SECONDS)
    except RECORD_ERRORS as refusal:
        return refusal
    except KafkaError as away:
        suspect.listener.fail(away)
        return away
    suspect.listener.succeed(metadata)
    return None


def _close(client: KafkaProducer) -> None:
    # Closing reports the pending records as lost; their senders have been notified already.
    with suppress(KafkaError):
        client.close(timeout=CLOSE_SECONDS)
