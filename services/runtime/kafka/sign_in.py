"""TLS and SASL: tries the credentials and the trusted certificates once before a client uses them."""

import socket
import ssl
import struct
from typing import Any

from kafka.cluster import get_ip_port_afi
from kafka.errors import KafkaError, for_code
from kafka.net.sasl import get_sasl_mechanism
from kafka.protocol.metadata import ApiVersionsRequest
from kafka.protocol.sasl import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
    SaslHandshakeRequest,
    SaslHandshakeResponse,
)

from services.runtime.settings import Settings

# The timeout of each response, once connected.
TIMEOUT_SECONDS = 5.0
# Kafka's protocol frames a message with a length of four bytes.
LENGTH = struct.Struct(">i")


class SignInError(KafkaError):  # type: ignore[misc]
    """The broker rejects us, or we do not trust it. Waiting does not help; the message names the settings to check."""


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return None if the settings disable TLS. Raises SignInError when a file has unusable content."""
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    except ssl.SSLError as unreadable:
        raise SignInError(f"RAPPORT_KAFKA_SSL_CAFILE holds no certificate: {unreadable}") from unreadable
    if settings.kafka_ssl_certfile:
        _load_client_certificate(context, settings)
    return context


def sign_in(settings: Settings, address: str, seconds: float) -> str | None:
    """Return None when the broker at this address accepts us, otherwise why it is unreachable or disconnected. A
    connection has `seconds`. Raises SignInError when the broker rejects us."""
    context = tls_context(settings)
    try:
        with _connect(address, context, seconds) as connection:
            if settings.kafka_security_protocol.startswith("SASL"):
                _authenticate(connection, settings, address)
            elif context is not None:
                # A broker that requires a client certificate reports a missing one only after its part of the
                # handshake.
                _request(connection, ApiVersionsRequest(version=0))
    except ssl.SSLError as untrusted:
        raise SignInError(_tls_problem(address, untrusted)) from untrusted
    except (OSError, ValueError, OverflowError) as away:
        return getattr(away, "strerror", None) or str(away)
    return None


def _connect(address: str, context: ssl.SSLContext | None, seconds: float) -> socket.socket:
    host, port, _ = get_ip_port_afi(address)
    plain = socket.create_connection((host, port), seconds)
    plain.settimeout(TIMEOUT_SECONDS)
    if context is None:
        return plain
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except OSError:
        plain.close()
        raise


def _tls_problem(address: str, error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{address}: {error.verify_message}: see RAPPORT_KAFKA_SSL_CAFILE and the name in RAPPORT_KAFKA"
    variables = "RAPPORT_KAFKA_SECURITY_PROTOCOL and RAPPORT_KAFKA_SSL_CERTFILE"
    return f"{address}: no TLS connection ({error.reason or error}): see {variables}"


def _authenticate(connection: socket.socket, settings: Settings, address: str) -> None:
    name, password = settings.kafka_sasl_mechanism, settings.kafka_sasl_password
    offered = SaslHandshakeResponse.decode(
        _request(connection, SaslHandshakeRequest(mechanism=name, version=1)), version=1, header=True
    )
    if offered.error_code:
        variables = ", ".join(offered.mechanisms or ("none",))
        raise SignInError(f"{address} offers {variables}: see RAPPORT_KAFKA_SASL_MECHANISM")
    mechanism = get_sasl_mechanism(name)(
        sasl_mechanism=name,
        sasl_plain_username=settings.kafka_sasl_username,
        sasl_plain_password=password.get_secret_value() if password else "",
        security_protocol=settings.kafka_security_protocol,
    )
    while not mechanism.is_done():
        request = SaslAuthenticateRequest(auth_bytes=mechanism.auth_bytes(), version=0)
        answer = SaslAuthenticateResponse.decode(_request(connection, request), version=0, header=True)
        if answer.error_code:
            reason = answer.error_message or for_code(answer.error_code).__name__
            variables = "RAPPORT_KAFKA_SASL_USERNAME and RAPPORT_KAFKA_SASL_PASSWORD"
            raise SignInError(f"{address} refuses the sign-in ({reason}): see {variables}")
        try:
            mechanism.receive(answer.auth_bytes)
        except ValueError as false:
            raise SignInError(f"{address} does not know the password that it asks for: {false}") from false


def _request(connection: socket.socket, request: Any) -> bytes:  # noqa: ANN401 (kafka-python's own)
    request.with_header(correlation_id=1, client_id="rapport")
    connection.sendall(request.encode(header=True, framed=True))
    return _receive(connection, LENGTH.unpack(_receive(connection, LENGTH.size))[0])


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionResetError("the broker closed the connection")
        data += part
    return data


def _load_client_certificate(context: ssl.SSLContext, settings: Settings) -> None:
    assert settings.kafka_ssl_certfile is not None
    # An empty password keeps OpenSSL from prompting on the terminal.
    password = settings.kafka_ssl_keyfile_password
    try:
        context.load_cert_chain(
            settings.kafka_ssl_certfile,
            settings.kafka_ssl_keyfile,
            password=password.get_secret_value() if password else "",
        )
    except ssl.SSLError as unusable:
        variables = "RAPPORT_KAFKA_SSL_CERTFILE, RAPPORT_KAFKA_SSL_KEYFILE and RAPPORT_KAFKA_SSL_KEYFILE_PASSWORD"
        raise SignInError(f"{variables} do not fit together: {unusable}") from unusable
