"""How every client reaches the broker: addresses and credentials, the same for all, once it is known within seconds
that it can be reached and lets us in. kafka-python (3.0.12) tries for half a minute, and then says only that it could
not get through."""

import socket
import threading
import time
from typing import Any

from kafka.errors import KafkaError
from kafka.producer.transaction_manager import TransactionState

from services.runtime import log
from services.runtime.health import Health
from services.runtime.kafka.sign_in import sign_in, tls_context
from services.runtime.settings import Settings

# A command that ends because of it has said so within 5 s, the start of Python included. A broker that is started again
# takes longer; services wait for it.
PATIENCE_SECONDS = 1.5
PAUSE_SECONDS = 0.2
# A service that waits says so again after so long.
WAIT_SECONDS = 5.0
METADATA_PAUSE_MS = 10
"""Between two questions about the topics of the cluster. A client asks for the first time when it is made; by default
it would wait 100 ms before it asks for the topics that it is to read or write: at each start, in each command."""


class BrokerUnreachableError(KafkaError):  # type: ignore[misc]  # kafka-python has no types
    """The message names the setting."""

    retriable = True

    def __str__(self) -> str:
        return str(self.args[0])


def check_reachable(settings: Settings) -> None:
    """Returns when one of the brokers of RAPPORT_KAFKA lets us in. Raises BrokerUnreachableError where none is reached
    within PATIENCE_SECONDS together, SignInError when one refuses us."""
    addresses, deadline = [one.strip() for one in settings.kafka.split(",")], time.monotonic() + PATIENCE_SECONDS
    while True:
        problems = []
        for address in addresses:
            problem = sign_in(settings, address, PATIENCE_SECONDS / len(addresses))
            if problem is None:
                return
            problems.append(f"{address}: {problem}")
        if time.monotonic() + PAUSE_SECONDS > deadline:
            raise BrokerUnreachableError(f"RAPPORT_KAFKA names no broker that can be reached ({'; '.join(problems)})")
        time.sleep(PAUSE_SECONDS)


def await_broker(settings: Settings, health: Health, stop: threading.Event) -> bool:
    """For a service that starts: says what is missing and waits for it, for to end and be started again would look like
    a fault of its own, and supervisors give up on those. False when `stop` is set before. Raises SignInError."""
    while not stop.is_set():
        try:
            check_reachable(settings)
        except BrokerUnreachableError as away:
            health.tell("starting", str(away))
            log.get(__name__).warning("broker_away", reason=str(away))
            stop.wait(WAIT_SECONDS)
        else:
            return True
    return False


def ask_for_topics_at_once(cluster: Any) -> None:  # noqa: ANN401 (kafka-python's ClusterMetadata)
    """Only of metadata: the option of the same name is the pause after errors, too, when it is given to a client. While
    no broker can be reached, the pause grows by itself."""
    cluster.config["retry_backoff_ms"] = METADATA_PAUSE_MS


def ask_for_another_id(manager: Any) -> None:  # noqa: ANN401 (kafka-python's TransactionManager)
    """Without transactions: when a record expires that was sent before, kafka-python (3.0.12) drops the producer's id
    and never asks for another one, since it takes itself for ready: nothing would be sent or fail any more, ever."""
    if manager is None or manager.is_transactional():
        return
    drop = manager.reset_producer_id

    def drop_and_ask() -> None:
        with manager._lock:  # noqa: SLF001
            drop()
            if manager._current_state is TransactionState.READY:  # noqa: SLF001
                manager._current_state = TransactionState.UNINITIALIZED  # noqa: SLF001

    manager.reset_producer_id = drop_and_ask


def client_options(settings: Settings) -> dict[str, Any]:
    """Addresses and credentials, the same for every kafka-python client. Raises BrokerUnreachableError within seconds
    where there is no broker, SignInError when one refuses them."""
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
