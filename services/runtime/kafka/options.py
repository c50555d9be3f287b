"""Addresses and credentials, the same for every client."""

import socket
from typing import Any

from services.runtime.kafka.sign_in import check_sign_in
from services.runtime.kafka.tls import tls_context
from services.runtime.settings import Settings


def client_options(settings: Settings) -> dict[str, Any]:
    """Addresses and credentials, the same for every kafka-python client. Raises SignInError when a broker refuses
    them."""
    check_sign_in(settings)
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
