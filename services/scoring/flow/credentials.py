"""How Faust's clients sign in to Kafka."""

import ssl

import faust

from services.scoring.flow.sequencer import Untyped
from services.scoring.flow.settings import ScoringSettings


def credentials(settings: ScoringSettings) -> Untyped:
    protocol, password = settings.kafka_security_protocol, settings.kafka_sasl_password
    context = _tls(settings) if protocol.endswith("SSL") else None
    if protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=password.get_secret_value() if password else None,
            ssl_context=context,
            mechanism=settings.kafka_sasl_mechanism,
        )
    return faust.SSLCredentials(context) if context else None


def _tls(settings: ScoringSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    if settings.kafka_ssl_certfile:
        context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    return context
