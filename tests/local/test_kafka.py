"""The local broker: what it keeps, and its messages when it cannot start."""

from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from deploy.local.kafka import JarsUnresolvedError, KafkaConfig, LocalKafka, MissingToolError, broker
from deploy.local.kafka.handshake import serves_clients
from deploy.local.kafka.jars import class_archive, find_java, kafka_version, resolve_jars
from deploy.local.ports import LOOPBACK
from deploy.local.readiness import NotReadyError

CACHE = Path(__file__).parents[2] / ".rapport" / "cache"
PARTITION = TopicPartition("kept", 0)


def test_what_was_acknowledged_survives_a_kill_and_a_restart_on_the_same_port(tmp_path: Path) -> None:
    with LocalKafka(KafkaConfig(data=tmp_path, cache=CACHE)) as kafka:
        produce(kafka.bootstrap, 50)
        bootstrap, pid = kafka.bootstrap, kafka.pid

        kafka.kill()
        kafka.start()

        assert kafka.bootstrap == bootstrap
        assert kafka.pid != pid
        assert consume(kafka.bootstrap, 50) == [str(number).encode() for number in range(50)]

    assert not serves_clients(LOOPBACK, int(bootstrap.rpartition(":")[2]))
    assert not Path(f"/proc/{kafka.pid}").exists()


def test_the_session_broker_lets_no_topic_come_to_be_by_a_misspelling(local_kafka: LocalKafka) -> None:
    admin = KafkaAdminClient(bootstrap_servers=local_kafka.bootstrap)

    consumer = KafkaConsumer("misspelt", bootstrap_servers=local_kafka.bootstrap)
    consumer.poll(timeout_ms=500)
    consumer.close()

    assert "misspelt" not in admin.list_topics()
    admin.close()


def test_a_broker_maps_the_classes_that_one_before_it_has_loaded(local_kafka: LocalKafka, tmp_path: Path) -> None:
    archive = class_archive(find_java(), resolve_jars(CACHE))

    assert str(archive) in Path(f"/proc/{local_kafka.pid}/maps").read_text()
    assert class_archive(find_java(), tmp_path) != archive
    assert not list(archive.parent.glob("*.partial-*"))


def test_where_java_makes_no_archive_of_classes_a_broker_starts_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "classes.jsa"
    archive.touch()
    monkeypatch.setattr(broker, "class_archive", lambda *_: archive)

    with LocalKafka(KafkaConfig(data=tmp_path / "data", cache=CACHE)) as kafka:
        assert str(archive) not in Path(f"/proc/{kafka.pid}/cmdline").read_text()


def test_a_broken_setting_is_reported_with_the_brokers_own_words(tmp_path: Path) -> None:
    config = KafkaConfig(data=tmp_path, cache=CACHE, java_options=("-Xmx1m",))
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "meta.properties").write_text("version=1\n")

    with pytest.raises(NotReadyError, match=r"kafka ended with exit code \d+; the end of .*kafka.log:\n.+"):
        LocalKafka(config).start()


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, with no Java at home."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def test_a_missing_java_is_named_with_what_to_install(bin_folder: Path) -> None:
    assert bin_folder.exists()

    with pytest.raises(MissingToolError, match=r"`java` was not found: install a JDK 17\+ and Maven .*RAPPORT_KAFKA"):
        find_java()


@pytest.mark.parametrize("printed", ['openjdk version "11.0.2" 2019', 'java version "1.8.0_401"'])
def test_an_old_java_is_refused(bin_folder: Path, printed: str) -> None:
    script(bin_folder / "java", f"echo '{printed}' >&2")

    with pytest.raises(MissingToolError, match=r"is Java (11|8), Kafka needs 17\+"):
        find_java()


def test_a_missing_maven_is_named_unless_the_jars_are_there(bin_folder: Path, tmp_path: Path) -> None:
    assert bin_folder.exists()

    with pytest.raises(MissingToolError, match="`mvn` was not found"):
        resolve_jars(tmp_path)
    (tmp_path / f"kafka-{kafka_version()}").mkdir()

    assert resolve_jars(tmp_path).name == f"kafka-{kafka_version()}"


def test_a_failing_maven_is_quoted_and_leaves_nothing_half_done(bin_folder: Path, tmp_path: Path) -> None:
    script(bin_folder / "mvn", "echo '[ERROR] no route to the repository'; exit 1")

    with pytest.raises(JarsUnresolvedError, match=r"exit 1\):\n\[ERROR\] no route to the repository"):
        resolve_jars(tmp_path / "cache")

    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def script(file: Path, body: str) -> None:
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def produce(bootstrap: str, count: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(PARTITION.topic, num_partitions=1, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    sent = [producer.send(PARTITION.topic, str(number).encode(), partition=0) for number in range(count)]
    for future in sent:
        future.get(timeout=60)
    producer.close()


def consume(bootstrap: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    consumer.assign([PARTITION])
    values: list[bytes] = []
    while len(values) < count and (polled := consumer.poll(timeout_ms=10_000)):
        values += [record.value for record in polled[PARTITION]]
    consumer.close()
    return values
