"""How Faust's clients sign in to Kafka."""

import faust

from services.runtime.kafka import tls_context
from services.scoring.flow.sequencer import Untyped
from services.scoring.flow.settings import ScoringSettings


def credentials(settings: ScoringSettings) -> Untyped:
    protocol, password = settings.kafka_security_protocol, settings.kafka_sasl_password
    context = tls_context(settings)
    if protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=password.get_secret_value() if password else None,
            ssl_context=context,
            mechanism=settings.kafka_sasl_mechanism,
        )
    return faust.SSLCredentials(context) if context else None
