"""Addresses and credentials, the same for every client."""

import socket
from typing import Any

from services.runtime.kafka.reachable import check_reachable
from services.runtime.kafka.sign_in import tls_context
from services.runtime.settings import Settings

METADATA_PAUSE_MS = 10
"""Between two questions about the topics of the cluster. A client asks for the first time when it is made; by default
it would wait 100 ms before it asks for the topics that it is to read or write: at each start, in each command."""


def ask_for_topics_at_once(cluster: Any) -> None:  # noqa: ANN401 (kafka-python's ClusterMetadata)
    """Only of metadata: the option of the same name is the pause after errors, too, when it is given to a client. While
    no broker can be reached, the pause grows by itself."""
    cluster.config["retry_backoff_ms"] = METADATA_PAUSE_MS


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
