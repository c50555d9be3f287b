"""`LocalClickHouse`: the embedded server as a child process on one data folder."""

import ssl
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploy.local.child import Child, ChildCommand, with_project
from deploy.local.clickhouse.users import User, save_users
from deploy.local.ports import LOOPBACK, remembered_ports
from deploy.local.readiness import Readiness, State, wait_until_ready

READY_SECONDS = 60.0
PING_SECONDS = 1.0
# No secret of whoever starts the engine: its process runs SQL of others.
INHERITED = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "VIRTUAL_ENV", "PYTHONHASHSEED"})


@dataclass(frozen=True)
class Tls:
    """PEM files: the server's key with its certificate and those above it, and the authority that clients trust."""

    certificate: Path
    authority: Path


@dataclass(frozen=True)
class ClickHouseConfig:
    """`port` 0 takes a free one and remembers it; without `users` the server is open to all; with `tls` it is https.

    Where the kernel cannot confine the server (no Landlock), readers are refused unless `trust_readers` says that they
    may read every file of its process; `unconfined` is for debuggers, and to try that.
    """

    data: Path
    port: int = 0
    users: tuple[User, ...] = ()
    max_queries: int = 32
    max_body_bytes: int = 1 << 30
    tls: Tls | None = None
    trust_readers: bool = False
    unconfined: bool = False


class LocalClickHouse:
    """A context manager, or `start` and `stop`; `start` after `stop` or `kill` goes on with the same data."""

    name = "clickhouse"

    def __init__(self, config: ClickHouseConfig) -> None:
        self._config = config
        self._data = config.data.absolute()
        self._port = config.port
        self._child: Child | None = None
        self.log = self._data / "clickhouse.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http{'s' if self._config.tls else ''}://{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int:
        assert self._child is not None, "not launched"
        return self._child.pid

    def start(self) -> None:
        """Returns when `/ping` answers. Raises `NotReadyError`."""
        self.launch()
        try:
            wait_until_ready([self], READY_SECONDS)
        except BaseException:
            self.stop()
            raise

    def launch(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        if self._port == 0:  # else fixed, or a restart: clients know the port
            self._port = remembered_ports(self._data / "ports.json", ("http",))["http"]
        self._child = Child(ChildCommand(self._argv(), log=self.log, env=with_project(), inherited=INHERITED))
        self._child.launch()

    def exit_code(self) -> int | None:
        return None if self._child is None else self._child.exit_code()

    def probe(self) -> Readiness:
        try:
            self._get("/ping")
        except OSError:
            return Readiness(State.STARTING, self.url)
        return Readiness(State.READY, self.url)

    def walls(self) -> str:
        """What keeps the server's process from the rest of this machine, in one line. Raises OSError."""
        return self._get("/walls").strip()

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()

    def kill(self) -> None:
        """SIGKILL: for drills, and for a second Ctrl-C."""
        if self._child is not None:
            self._child.kill()

    def _get(self, path: str) -> str:
        trust = ssl.create_default_context(cafile=self._config.tls.authority) if self._config.tls else None
        with urllib.request.urlopen(f"{self.url}{path}", timeout=PING_SECONDS, context=trust) as answer:  # noqa: S310 - our URL
            text: str = answer.read().decode()
            return text

    def _argv(self) -> tuple[str, ...]:
        server = (sys.executable, "-m", "deploy.local.clickhouse", "--path", str(self._data / "engine"))
        caps = ("--caps", str(self._config.max_queries), str(self._config.max_body_bytes))
        tls = ("--certificate", str(self._config.tls.certificate)) if self._config.tls else ()
        trusted = ("--trust-readers",) if self._config.trust_readers else ()
        unconfined = ("--unconfined",) if self._config.unconfined else ()
        argv = (*server, "--port", str(self._port), *caps, *tls, *trusted, *unconfined)
        if not self._config.users:
            return argv
        file = self._data / "users.json"
        save_users(self._config.users, file)
        return (*argv, "--users", str(file))
