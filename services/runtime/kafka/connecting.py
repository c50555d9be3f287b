"""Connection options shared by all Kafka clients, after a check that the broker is reachable and accepts us. The check
takes seconds; kafka-python (3.0.12) retries for half a minute and then reports only that it could not connect."""

import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.producer.transaction_manager import TransactionState

from services.runtime import log
from services.runtime.health import Health
from services.runtime.kafka.sign_in import sign_in, tls_context
from services.runtime.settings import Settings

# A command fails within 5 s, the start of Python included. A restarting broker takes longer; services wait for it.
REACH_SECONDS = 1.5
PAUSE_SECONDS = 0.2
# A waiting service repeats its warning after this long.
WAIT_SECONDS = 5.0
METADATA_PAUSE_MS = 10
"""Pause between metadata requests. A client sends the first one when it is created; with the default of 100 ms every
start and every command would wait that long before it requests its topics."""


class BrokerUnreachableError(KafkaError):  # type: ignore[misc]  # kafka-python has no types
    """The message names the setting to check."""

    retriable = True

    def __str__(self) -> str:
        return str(self.args[0])


def check_reachable(settings: Settings) -> None:
    """Return when one of the brokers of RAPPORT_KAFKA accepts us. Raises BrokerUnreachableError if none is reached
    within REACH_SECONDS in total, SignInError if one rejects us."""
    addresses, deadline = [one.strip() for one in settings.kafka.split(",")], time.monotonic() + REACH_SECONDS
    while True:
        problems = []
        for address in addresses:
            problem = sign_in(settings, address, REACH_SECONDS / len(addresses))
            if problem is None:
                return
            problems.append(f"{address}: {problem}")
        if time.monotonic() + PAUSE_SECONDS > deadline:
            raise BrokerUnreachableError(f"RAPPORT_KAFKA names no broker that can be reached ({'; '.join(problems)})")
        time.sleep(PAUSE_SECONDS)


def await_broker(settings: Settings, health: Health, stop: threading.Event) -> bool:
    """At the start of a service: report that the broker is missing and wait for it. An exit would look like a fault of
    the service, and supervisors give up after several. Returns False when `stop` is set first. Raises SignInError."""
    while not stop.is_set():
        try:
            check_reachable(settings)
        except BrokerUnreachableError as away:
            health.report("starting", str(away))
            log.get(__name__).warning("broker_away", reason=str(away))
            stop.wait(WAIT_SECONDS)
        else:
            return True
    return False


def request_metadata_at_once(cluster: Any) -> None:  # noqa: ANN401 (kafka-python's ClusterMetadata)
    """Shorten the pause between metadata requests only: as a client option it would also be the pause after errors.
    While no broker is reachable, the pause grows by itself."""
    cluster.config["retry_backoff_ms"] = METADATA_PAUSE_MS


def renew_producer_id(manager: Any) -> None:  # noqa: ANN401 (kafka-python's TransactionManager)
    """For producers without transactions. When a record expires that was sent before, kafka-python (3.0.12) drops the
    producer id and never requests another, because its state stays READY: no record would be sent or fail any more."""
    if manager is None or manager.is_transactional():
        return
    drop = manager.reset_producer_id

    def drop_and_request() -> None:
        with manager._lock:  # noqa: SLF001
            drop()
            if manager._current_state is TransactionState.READY:  # noqa: SLF001
                manager._current_state = TransactionState.UNINITIALIZED  # noqa: SLF001

    manager.reset_producer_id = drop_and_request


def client_options(settings: Settings) -> dict[str, Any]:
    """Return the addresses and credentials for any kafka-python client. Raises BrokerUnreachableError within seconds if
    no broker is reachable, SignInError if one rejects us."""
    check_reachable(settings)
    password = settings.kafka_sasl_password
    return {
        "bootstrap_servers": settings.kafka.split(","),
        "client_id": f"rapport-{socket.gethostname()}",
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": tls_context(settings),
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "sasl_plain_username": settings.kafka_sasl_username,
        "sasl_plain_password": password.get_secret_value() if password else None,
    }


def load_metadata(client: KafkaProducer, topics: Sequence[str]) -> None:
    """Fetch the metadata of all these topics by one request, if the broker answers it, so that later sends do not
    block."""
    for topic in topics:
        client._sender.add_topic(topic)  # noqa: SLF001 (there is no public way)
    if topics:
        with suppress(KafkaError):
            client.partitions_for(topics[0])
