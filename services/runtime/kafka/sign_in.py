"""How clients prove themselves to the broker and what they trust, tried once before a client does it."""

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

# Of each answer, once connected.
TIMEOUT_SECONDS = 5.0
# The framing of Kafka's protocol: a length of four bytes.
LENGTH = struct.Struct(">i")


class SignInError(KafkaError):  # type: ignore[misc]
    """The broker does not let us in, or we do not trust it. Nothing gets better by waiting; the message names the
    settings to look at."""


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """None where the settings ask for no TLS. Raises SignInError when a file holds something else than it should."""
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    except ssl.SSLError as unreadable:
        raise SignInError(f"RAPPORT_KAFKA_SSL_CAFILE holds no certificate: {unreadable}") from unreadable
    if settings.kafka_ssl_certfile:
        _prove(context, settings)
    return context


def sign_in(settings: Settings, address: str, seconds: float) -> str | None:
    """None when the broker of this address lets us in. Otherwise why it cannot be reached, for which a connection has
    so many seconds, or has gone away. Raises SignInError when it refuses us."""
    context = tls_context(settings)
    try:
        with _connected(address, context, seconds) as connection:
            if settings.kafka_security_protocol.startswith("SASL"):
                _authenticate(connection, settings, address)
            elif context is not None:
                # A broker that misses our certificate says so after its own part of the handshake is over.
                _asked(connection, ApiVersionsRequest(version=0))
    except ssl.SSLError as untrusted:
        raise SignInError(_tls_words(address, untrusted)) from untrusted
    except (OSError, ValueError, OverflowError) as away:
        return getattr(away, "strerror", None) or str(away)
    return None


def _connected(address: str, context: ssl.SSLContext | None, seconds: float) -> socket.socket:
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


def _tls_words(address: str, error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{address}: {error.verify_message}: see RAPPORT_KAFKA_SSL_CAFILE and the name in RAPPORT_KAFKA"
    names = "RAPPORT_KAFKA_SECURITY_PROTOCOL and RAPPORT_KAFKA_SSL_CERTFILE"
    return f"{address}: no TLS connection ({error.reason or error}): see {names}"


def _authenticate(connection: socket.socket, settings: Settings, address: str) -> None:
    name, password = settings.kafka_sasl_mechanism, settings.kafka_sasl_password
    offered = SaslHandshakeResponse.decode(
        _asked(connection, SaslHandshakeRequest(mechanism=name, version=1)), version=1, header=True
    )
    if offered.error_code:
        names = ", ".join(offered.mechanisms or ("none",))
        raise SignInError(f"{address} offers {names}: see RAPPORT_KAFKA_SASL_MECHANISM")
    mechanism = get_sasl_mechanism(name)(
        sasl_mechanism=name,
        sasl_plain_username=settings.kafka_sasl_username,
        sasl_plain_password=password.get_secret_value() if password else "",
        security_protocol=settings.kafka_security_protocol,
    )
    while not mechanism.is_done():
        request = SaslAuthenticateRequest(auth_bytes=mechanism.auth_bytes(), version=0)
        answer = SaslAuthenticateResponse.decode(_asked(connection, request), version=0, header=True)
        if answer.error_code:
            reason = answer.error_message or for_code(answer.error_code).__name__
            names = "RAPPORT_KAFKA_SASL_USERNAME and RAPPORT_KAFKA_SASL_PASSWORD"
            raise SignInError(f"{address} refuses the sign-in ({reason}): see {names}")
        try:
            mechanism.receive(answer.auth_bytes)
        except ValueError as false:
            raise SignInError(f"{address} does not know the password that it asks for: {false}") from false


def _asked(connection: socket.socket, request: Any) -> bytes:  # noqa: ANN401 (kafka-python's own)
    request.with_header(correlation_id=1, client_id="rapport")
    connection.sendall(request.encode(header=True, framed=True))
    return _received(connection, LENGTH.unpack(_received(connection, LENGTH.size))[0])


def _received(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionResetError("the broker closed the connection")
        data += part
    return data


def _prove(context: ssl.SSLContext, settings: Settings) -> None:
    assert settings.kafka_ssl_certfile is not None
    # An empty password, lest OpenSSL ask for one on the terminal.
    password = settings.kafka_ssl_keyfile_password
    try:
        context.load_cert_chain(
            settings.kafka_ssl_certfile,
            settings.kafka_ssl_keyfile,
            password=password.get_secret_value() if password else "",
        )
    except ssl.SSLError as unusable:
        names = "RAPPORT_KAFKA_SSL_CERTFILE, RAPPORT_KAFKA_SSL_KEYFILE and RAPPORT_KAFKA_SSL_KEYFILE_PASSWORD"
        raise SignInError(f"{names} do not fit together: {unusable}") from unusable
