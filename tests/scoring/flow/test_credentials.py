"""Faust's own clients sign in as the others do."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from services.scoring.flow.faust.configured_app import credentials
from services.scoring.flow.settings import ScoringSettings
from tests.conftest import JARS_CACHE
from tests.secured import MECHANISMS, SecuredKafka, secured_kafka


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    with secured_kafka(tmp_path_factory.mktemp("secured"), JARS_CACHE) as running:
        yield running


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_faust_signs_in_by_password(broker: SecuredKafka, mechanism: str) -> None:
    environment = broker.environment(mechanism)

    assert connects({name.removeprefix("RAPPORT_").lower(): value for name, value in environment.items()})


def test_faust_signs_in_by_certificate(broker: SecuredKafka) -> None:
    assert connects(
        {
            "kafka": broker.addresses["SSL"],
            "kafka_security_protocol": "SSL",
            "kafka_ssl_cafile": broker.certificates.authority,
            "kafka_ssl_certfile": broker.certificates.client,
        }
    )


def test_faust_needs_no_credentials_for_plain_text() -> None:
    assert credentials(ScoringSettings()) is None


def connects(given: dict[str, Any]) -> bool:
    """Whether a client with Faust's credentials gets the broker's metadata."""
    settings = ScoringSettings(**given)

    async def connected() -> bool:
        signing_in = credentials_to_aiokafka_auth(credentials(settings))
        producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, **signing_in)
        try:
            await producer.start()
            return bool(producer.client.cluster.brokers())
        finally:
            await producer.stop()
            # A TLS connection says goodbye after it was told to close, if its loop still runs.
            await asyncio.sleep(0.25)

    return asyncio.run(connected())
