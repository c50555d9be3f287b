"""What every client of the broker trusts, and how it proves itself by certificate."""

import ssl

from kafka.errors import KafkaError

from services.runtime.settings import Settings


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
