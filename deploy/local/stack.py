"""`Stack`: Kafka, ClickHouse and the four services on one data folder, as separate processes."""

import os
import re
import secrets
import shlex
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from deploy.local.child import project_environment
from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse, User
from deploy.local.clickhouse.users import ReaderScope, Role
from deploy.local.data_folder import ClockMode, locked_folder, secret, write_private
from deploy.local.display import Display
from deploy.local.kafka import KafkaConfig, LocalKafka
from deploy.local.ports import LOOPBACK, ports_from, remembered_ports
from deploy.local.services import PORTS, Launch, Service, port_variables, services
from deploy.local.supervisor import Supervisor

PARTITIONS = 4
OWN_PORTS = 2  # of ClickHouse and of Kafka
KAFKA_SECONDS, CLICKHOUSE_SECONDS = 60.0, 60.0
SERVICES_SECONDS = 180.0  # scoring reads its state back from the log first
COMMAND_SECONDS = 180.0
WRITER, READER, ANALYST = "rapport", "reader", "analyst"
TOKEN = re.compile(r"rpt_\S+")
NEEDS_RECOMPUTE = "run `rapport warehouse recompute`"
"""What `rapport warehouse migrate` prints for tables that lack rows; a test compares it with the command's own text."""
BOARD_SOURCE = "/rapport/board"
"""The source of the board's events at the gateway (services/notify/board/meetings.py)."""
NO_CONNECTIONS = """\
# The tools that send webhooks: deploy/connections.example.yaml shows every one. Changes to this file take effect within
# seconds; `rapport ingest connections check` and `rapport ingest connections reload` report its faults.
connections: []
"""


@dataclass(frozen=True)
class StackConfig:
    """`kafka` and `clickhouse` name a running broker and server; without them the stack starts its own.

    `first_port` N fixes the ports: gateway N, health N+1 to N+6, board N+7, ClickHouse N+8, Kafka N+9; None takes free
    ones, which the folder remembers. `environment` is added to that of every service and command. `trust_readers`
    admits readers to the stack's own ClickHouse even if the kernel cannot confine it. `tenant` is the tenant for which
    the board may record that a pair has met.
    """

    data: Path
    clock: ClockMode = ClockMode.WALL
    cache: Path = Path(".rapport/cache")
    kafka: str | None = None
    clickhouse: str | None = None
    first_port: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    trust_readers: bool = False
    tenant: str | None = None
    rapport: tuple[str, ...] = (sys.executable, "-m", "services.cli")


class CommandFailedError(Exception):
    """A command that prepares the stack failed; the message is its output."""


class Stack:
    """A context manager: inside it everything is ready and supervised, after it nothing runs any more.

    Enter and leave it in one thread that lives as long as the stack.
    """

    def __init__(self, config: StackConfig, display: Display) -> None:
        self._config = config
        self._data = config.data.absolute()
        self._display = display
        self._supervisor = Supervisor(display)
        self._services: dict[str, Service] = {}
        self.kafka: LocalKafka | None = None
        self.clickhouse: LocalClickHouse | None = None
        self.environment: dict[str, str] = {}
        """What a process needs to join: RAPPORT_KAFKA, RAPPORT_CLICKHOUSE and the rest."""

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.enter_context(locked_folder(self._data, self._config.clock))
            opened.enter_context(self._supervisor)
            self._start()
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def data(self) -> Path:
        """The folder, absolute."""
        return self._data

    @property
    def logs(self) -> Path:
        return self._data / "logs"

    @property
    def rapport(self) -> tuple[str, ...]:
        """The command line to which `NAME COMMAND ...` is appended; see also `run`."""
        return self._config.rapport

    @property
    def gateway_url(self) -> str:
        return f"http://{LOOPBACK}:{self.environment['RAPPORT_INGEST_PORT']}"

    @property
    def board_url(self) -> str:
        return f"http://{LOOPBACK}:{self.environment['RAPPORT_NOTIFY_BOARD_PORT']}"

    @property
    def clickhouse_url(self) -> str:
        return self.environment["RAPPORT_CLICKHOUSE"]

    def service(self, name: str) -> Service:
        """With `.pid`, `.log`, `.probe()` and, for drills, `.kill()`."""
        return self._services[name]

    def run(self, *arguments: str, **environment: str) -> str:
        """Run `rapport ...` within the stack and return its output. Raises `CommandFailedError`."""
        done = subprocess.run(  # noqa: S603 - the command line is ours
            [*self._config.rapport, *arguments],
            env={**os.environ, **project_environment(), **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise CommandFailedError(f"rapport {' '.join(arguments)} failed ({done.returncode}):\n{done.stdout}")
        return done.stdout

    def token(self, name: str, *scope: str) -> str:
        """Return a gateway token, created at the first call and stored in the folder. Raises `CommandFailedError`."""
        kept = self._data / f"{name}-token"
        if not kept.exists():
            # The broker may hold a token of another folder, or one of a start that was killed before it stored it.
            own = f"{name}_{secrets.token_hex(4)}"
            found = TOKEN.search(self.run("ingest", "token", "create", "--id", own, *scope))
            assert found is not None, "the command prints the secret"
            write_private(kept, found.group())
        return kept.read_text()

    @property
    def failed(self) -> bool:
        """True once a part was given up and everything is being stopped."""
        return self._supervisor.failed

    def wait(self) -> None:
        """Block until a part is given up: then raise `PartFailedError` with its last log lines."""
        self._supervisor.wait()

    def kill(self) -> None:
        """Kill everything at once, in no particular order."""
        self._supervisor.kill()

    def _start(self) -> None:
        """The order matters: topics and tables must exist before the services that use them."""
        first = self._config.first_port
        kept = self._data / "ports.json"
        ports = remembered_ports(kept, PORTS) if first is None else ports_from(first, PORTS, OWN_PORTS)
        self.environment = {
            "RAPPORT_CLOCK": self._config.clock,
            "RAPPORT_DATA": str(self._data),
            "RAPPORT_INSTANCE": "local",
            "RAPPORT_INGEST_DIGEST_KEY": secret(self._data / "digest-key"),
            "RAPPORT_INGEST_RELOAD": f"{LOOPBACK}:{ports['ingest-work']},{LOOPBACK}:{ports['ingest']}",
            **port_variables(ports),
            **self._connections(),
            # Access to this machine implies access to the data, and the board is served to this machine only.
            "RAPPORT_NOTIFY_BOARD_OPEN": "true",
            "RAPPORT_NOTIFY_LINK": f"http://{LOOPBACK}:{ports['pages']}/relationships/{{tenant}}/{{relationship}}",
            **self._config.environment,
        }
        # 1. the log and the warehouse
        self._start_kafka()
        self._start_clickhouse()
        # 2. topics and tables
        self._display.report("preparing Kafka")
        self.run("topics", "create", "--partitions", str(PARTITIONS))
        self._display.report("preparing ClickHouse")
        # `migrate` reports this for a folder that an older version has filled.
        if NEEDS_RECOMPUTE in self.run("warehouse", "migrate"):
            self._display.report("filling new tables")
            self.run("warehouse", "recompute")
        if tenant := self._config.tenant:
            token = self.token("board", "--tenant", tenant, "--source", BOARD_SOURCE)
            self.environment["RAPPORT_NOTIFY_BOARD_GATEWAY"] = self.gateway_url
            self.environment["RAPPORT_NOTIFY_BOARD_GATEWAY_TOKENS"] = f"{tenant}={token}"
        # 3. the services
        started = services(Launch(self._config.rapport, self.logs, self.environment), ports)
        self._services = {service.name: service for service in started}
        self._write_environment()
        self._supervisor.start(started, SERVICES_SECONDS)

    def _write_environment(self) -> None:
        """Write `DATA/env`, with which a shell's `rapport` and curl reach this stack. It holds secrets."""
        own = ("RAPPORT_INSTANCE", *(name for name in self.environment if name.endswith("HEALTH_PORT")))
        joined = {name: value for name, value in self.environment.items() if name not in own}
        lines = [f"export {name}={shlex.quote(str(value))}\n" for name, value in sorted(joined.items())]
        write_private(self._data / "env", "".join(lines))

    def _connections(self) -> dict[str, str]:
        """Create an empty connections file for the stack, unless the environment names one."""
        name = "RAPPORT_INGEST_CONNECTIONS"
        if name in self._config.environment:
            return {}
        file = self._data / "connections.yaml"
        if not file.exists():
            write_private(file, NO_CONNECTIONS)
        return {name: str(file)}

    def _fixed_port(self, after_services: int) -> int:
        first = self._config.first_port
        return 0 if first is None else first + len(PORTS) + after_services

    def _start_kafka(self) -> None:
        if self._config.kafka is not None:
            self.environment["RAPPORT_KAFKA"] = self._config.kafka
            return
        self._display.report("starting Kafka (the first start fetches its jars)")
        config = KafkaConfig(self._data / "kafka", self._config.cache, port=self._fixed_port(1))
        self.kafka = LocalKafka(config)
        self._supervisor.start([self.kafka], KAFKA_SECONDS)
        self.environment["RAPPORT_KAFKA"] = self.kafka.bootstrap

    def _start_clickhouse(self) -> None:
        """The login of an external server remains the one in the environment."""
        if self._config.clickhouse is not None:
            self.environment["RAPPORT_CLICKHOUSE"] = self._config.clickhouse
            return
        self._display.report("starting ClickHouse")
        password = secret(self._data / "clickhouse-password")
        users = (
            User.with_password(WRITER, password, Role.WRITER),
            User.with_password(READER, READER, Role.READER),
            User.with_password(ANALYST, ANALYST, Role.READER, ReaderScope.ANALYST),
        )
        config = ClickHouseConfig(
            self._data / "clickhouse",
            port=self._fixed_port(0),
            users=users,
            trust_readers=self._config.trust_readers,
        )
        self.clickhouse = LocalClickHouse(config)
        self._supervisor.start([self.clickhouse], CLICKHOUSE_SECONDS)
        for part in self.clickhouse.confinement().split("; "):
            self._display.report(f"  {part}")
        self.environment["RAPPORT_CLICKHOUSE"] = self.clickhouse.url
        self.environment["RAPPORT_CLICKHOUSE_USER"] = WRITER
        self.environment["RAPPORT_CLICKHOUSE_PASSWORD"] = password
