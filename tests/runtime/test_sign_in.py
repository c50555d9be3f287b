"""Signing in to a broker by password or certificate, and the messages of a rejection."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.errors import TopicAuthorizationFailedError

from deploy.local.ports import LOOPBACK, free_port
from services.runtime.kafka import Partition, Producer, Reader, SignInError, create_topics, read_to_end
from services.runtime.kafka.records import OutgoingRecord
from services.runtime.settings import Settings, SettingsError, load
from tests.conftest import JARS_CACHE
from tests.receiver import eventually
from tests.secured import MECHANISMS, USER, SecuredKafka, secured_kafka

# The client itself would retry for half a minute.
REFUSED_WITHIN_SECONDS = 20


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    with secured_kafka(tmp_path_factory.mktemp("secured"), JARS_CACHE) as running:
        yield running


def by_password(broker: SecuredKafka, mechanism: str = "PLAIN", **changes: str | None) -> Settings:
    given = {f"RAPPORT_{name.upper()}": value for name, value in changes.items()}
    return settings_of(broker.environment(mechanism) | given)


def by_certificate(broker: SecuredKafka, **changes: str | None) -> Settings:
    given = {
        "RAPPORT_KAFKA": broker.addresses["SSL"],
        "RAPPORT_KAFKA_SECURITY_PROTOCOL": "SSL",
        "RAPPORT_KAFKA_SSL_CAFILE": str(broker.certificates.authority),
        "RAPPORT_KAFKA_SSL_CERTFILE": str(broker.certificates.client),
    }
    return settings_of(given | {f"RAPPORT_{name.upper()}": value for name, value in changes.items()})


def settings_of(environment: dict[str, Any]) -> Settings:
    return Settings(**{name.removeprefix("RAPPORT_").lower(): value for name, value in environment.items() if value})


def use(settings: Settings) -> list[bytes | None]:
    """Creates a topic, writes a record and reads it."""
    topic = f"secured-{uuid4().hex[:8]}"
    create_topics(settings, {topic: {"num_partitions": 1, "replication_factor": 1, "configs": {}}})
    with closing(Producer(settings)) as producer:
        producer.send(topic, b"key", b"value").get(60)
    return [record.value for record in read_to_end(settings, [topic])]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_client_signs_in_by_password(broker: SecuredKafka, mechanism: str) -> None:
    assert use(by_password(broker, mechanism)) == [b"value"]


def test_every_client_signs_in_by_certificate(broker: SecuredKafka) -> None:
    assert use(by_certificate(broker)) == [b"value"]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_wrong_password_is_reported_at_once_by_its_setting(broker: SecuredKafka, mechanism: str) -> None:
    refused(by_password(broker, mechanism, kafka_sasl_password="wrong"), "RAPPORT_KAFKA_SASL_PASSWORD")
    refused(by_password(broker, mechanism, kafka_sasl_username="nobody"), "RAPPORT_KAFKA_SASL_USERNAME")


def test_a_broker_without_a_trusted_certificate_is_not_trusted(broker: SecuredKafka) -> None:
    refused(by_password(broker, kafka_ssl_cafile=None), "RAPPORT_KAFKA_SSL_CAFILE")
    refused(by_certificate(broker, kafka_ssl_cafile=None), "RAPPORT_KAFKA_SSL_CAFILE")


def test_a_broker_of_another_name_is_not_trusted(broker: SecuredKafka) -> None:
    port = broker.addresses["SASL_SSL"].rpartition(":")[2]

    refused(by_password(broker, kafka=f"localhost:{port}"), "the name in RAPPORT_KAFKA")


def test_a_client_without_the_required_certificate_is_reported(broker: SecuredKafka) -> None:
    refused(by_certificate(broker, kafka_ssl_certfile=None), "RAPPORT_KAFKA_SSL_CERTFILE")


def test_a_listener_with_another_protocol_is_reported(broker: SecuredKafka) -> None:
    plain = broker.kafka.bootstrap

    refused(by_password(broker, kafka=plain), "RAPPORT_KAFKA_SECURITY_PROTOCOL")
    refused(by_password(broker, kafka=plain, kafka_security_protocol="SASL_PLAINTEXT"), "RAPPORT_KAFKA_SASL_MECHANISM")


def test_a_file_of_another_kind_is_reported_by_its_setting(broker: SecuredKafka, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("no certificate\n")

    refused(by_password(broker, kafka_ssl_cafile=str(other)), "RAPPORT_KAFKA_SSL_CAFILE")
    refused(by_certificate(broker, kafka_ssl_certfile=str(other)), "RAPPORT_KAFKA_SSL_CERTFILE")


def test_one_broker_that_accepts_us_is_enough(broker: SecuredKafka) -> None:
    away = f"{LOOPBACK}:{free_port(set())}"

    with closing(Reader(by_password(broker, kafka=f"{away},{broker.addresses['SASL_SSL']}"), None)) as reader:
        assert reader.assign(["__consumer_offsets"])[0] == Partition("__consumer_offsets", 0)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "RAPPORT_KAFKA_SSL_CAFILE",
            "/nowhere/authority.pem",
            "RAPPORT_KAFKA_SSL_CAFILE: Path does not point to a file",
        ),
        ("RAPPORT_KAFKA_SASL_PASSWORD", "", "SASL_SSL needs RAPPORT_KAFKA_SASL_PASSWORD"),
        ("RAPPORT_KAFKA_SASL_MECHANISM", "GUESS", "RAPPORT_KAFKA_SASL_MECHANISM: "),
    ],
)
def test_settings_that_cannot_sign_in_are_refused_before_anything_starts(
    broker: SecuredKafka, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    for variable, given in (broker.environment("PLAIN") | {name: value}).items():
        monkeypatch.setenv(variable, given)

    with pytest.raises(SettingsError, match=words):
        load(Settings, "topics")


def test_a_topic_that_is_no_longer_visible_is_not_reported_as_missing(broker: SecuredKafka) -> None:
    settings, topic = by_password(broker), f"secured-{uuid4().hex[:8]}"
    create_topics(settings, {topic: {"num_partitions": 1, "replication_factor": 1}})
    with closing(Producer(settings)) as producer:
        producer.preload([topic])
        deny(broker, topic)
        eventually(lambda: topic in _asked_again(producer).unauthorized_topics, 60)
        together = producer.write_group()

        together.send(OutgoingRecord(topic, b"value", b"key", []))
        together.close()

        with pytest.raises(TopicAuthorizationFailedError, match=topic):
            together.written.result(60)


def _asked_again(producer: Producer) -> Any:  # noqa: ANN401 (kafka-python's own)
    metadata = producer._client._metadata
    metadata.request_update()
    return metadata


def deny(broker: SecuredKafka, topic: str) -> None:
    pattern = ResourcePattern(ResourceType.TOPIC, topic)
    with closing(KafkaAdminClient(bootstrap_servers=broker.kafka.bootstrap)) as admin:
        admin.create_acls([ACL(f"User:{USER}", "*", ACLOperation.DESCRIBE, ACLPermissionType.DENY, pattern)])


def refused(settings: Settings, words: str) -> None:
    began = time.monotonic()

    with pytest.raises(SignInError, match=words) as told:
        Producer(settings)

    assert time.monotonic() - began < REFUSED_WITHIN_SECONDS
    assert not told.value.retriable
    assert "wrong" not in str(told.value)
