"""`LocalKafka`: a broker on one data folder, which survives kill -9 and restarts on its data."""

import base64
import secrets
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.child import Child, ChildCommand
from deploy.local.folder_lock import FolderLock
from deploy.local.kafka.handshake import serves_clients
from deploy.local.kafka.jars import class_archive, find_java, resolve_jars
from deploy.local.kafka.properties import server_properties
from deploy.local.local_server import READY_SECONDS, LocalServer
from deploy.local.ports import LOOPBACK, remembered_ports
from deploy.local.readiness import Readiness, State

LOG4J = Path(__file__).with_name("log4j2.yaml")
FORMAT_SECONDS = 60
# Takes a few seconds of CPU, on a machine that may be busy.
ARCHIVE_SECONDS = 120.0
# Without the second compiler tier a broker takes a third less CPU until it is ready, and half as much for the next
# 300,000 records.
JAVA_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


@dataclass(frozen=True)
class KafkaConfig:
    """`port` 0 takes a free one and stores it in the data folder; `properties` override the built-in ones. `listeners`:
    ports of additional listeners by their security protocol, such as SASL_SSL; `properties` configure the security of
    each."""

    data: Path
    cache: Path = Path(".rapport/cache")
    port: int = 0
    java_options: tuple[str, ...] = JAVA_OPTIONS
    properties: Mapping[str, str] = field(default_factory=dict)
    listeners: Mapping[str, int] = field(default_factory=dict)


class StorageUnformattedError(Exception):
    pass


class LocalKafka(LocalServer):
    """`start` raises `MissingToolError`, `JarsUnresolvedError`, `StorageUnformattedError` or `NotReadyError`."""

    name = "kafka"

    def __init__(self, config: KafkaConfig) -> None:
        super().__init__(config.data, config.port)
        self._config = config
        self._controller_port = 0

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self._port}"

    def launch(self) -> None:
        """Start the broker without waiting for it; resolve jars and format the data folder if needed."""
        java = find_java()
        jars = resolve_jars(self._config.cache)
        properties = self._write_properties()
        options = (*self._config.java_options, *self._archived_classes(java, jars))
        java_command = (java, *options, f"-Dlog4j2.configurationFile={LOG4J}", "-cp", f"{jars}/*")
        if not (self._data / "log" / "meta.properties").exists():
            self._format_storage(java_command, properties)
        self._child = Child(ChildCommand((*java_command, "kafka.Kafka", str(properties)), log=self.log))
        self._child.launch()

    def probe(self) -> Readiness:
        ready = serves_clients(LOOPBACK, self._port)
        return Readiness(State.READY if ready else State.STARTING, self.bootstrap, answered=ready)

    def _archived_classes(self, java: str, jars: Path) -> tuple[str, ...]:
        """Return the option with which Java maps Kafka's classes from an archive instead of loading and verifying them:
        a broker on a new folder takes 4 s of CPU instead of 7. The first call creates the archive, from a broker that
        only starts and stops. Custom `java_options` are left unchanged."""
        if self._config.java_options != JAVA_OPTIONS:
            return ()
        archive = class_archive(java, jars)
        if not archive.exists():
            with FolderLock(archive.with_suffix(".lock"), wait_seconds=READY_SECONDS + ARCHIVE_SECONDS):
                if not archive.exists():
                    self._archive_classes(archive)
        # A Java without class archives leaves an empty file.
        return (f"-XX:SharedArchiveFile={archive}",) if archive.stat().st_size else ()

    def _archive_classes(self, archive: Path) -> None:
        with tempfile.TemporaryDirectory(dir=archive.parent, prefix=f"{archive.name}.partial-") as folder:
            partial = Path(folder) / "classes.jsa"
            options = (*JAVA_OPTIONS, f"-XX:ArchiveClassesAtExit={partial}")
            broker = LocalKafka(KafkaConfig(Path(folder) / "data", self._config.cache, java_options=options))
            broker.start()
            broker.stop(ARCHIVE_SECONDS)
            partial.touch()
            partial.rename(archive)

    def _write_properties(self) -> Path:
        if self._controller_port == 0:  # else a restart: clients know the port
            ports = remembered_ports(self._data / "ports.json", ("broker", "controller"))
            self._port, self._controller_port = self._config.port or ports["broker"], ports["controller"]
        file = self._data / "server.properties"
        listeners = {"PLAINTEXT": self._port, **self._config.listeners}
        text = server_properties(self._data, listeners, self._controller_port, extra=self._config.properties)
        file.write_text(text)
        return file

    def _format_storage(self, java_command: tuple[str, ...], properties: Path) -> None:
        tool = (*java_command, "kafka.tools.StorageTool", "format", "--standalone", "--ignore-formatted")
        cluster = cluster_id(self._data / "cluster.id")
        done = subprocess.run(  # noqa: S603 - the command line is ours
            [*tool, "--cluster-id", cluster, "--config", str(properties)],
            capture_output=True,
            text=True,
            timeout=FORMAT_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise StorageUnformattedError(f"{self._data} could not be formatted:\n{done.stdout}{done.stderr}")


def cluster_id(file: Path) -> str:
    """Return the cluster id of a data folder: 22 URL-safe characters, Kafka's notation of 16 bytes. It is stored before
    the first format, so that a retry after an interruption uses the same one."""
    if not file.exists():
        # A leading zero byte, because an id that starts with "-" would be parsed as an option.
        file.write_text(base64.urlsafe_b64encode(b"\0" + secrets.token_bytes(15)).decode().rstrip("="))
    return file.read_text()
