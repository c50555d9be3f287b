"""`LocalClickHouse`: the embedded server as a child process on one data folder."""

import ssl
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from deploy.local.child import Child, ChildCommand, project_environment
from deploy.local.clickhouse.users import User, save_users
from deploy.local.local_server import LocalServer
from deploy.local.ports import LOOPBACK, remembered_ports
from deploy.local.readiness import Readiness, State

PING_SECONDS = 1.0
# Inherit no secrets: the process runs foreign SQL.
INHERITED = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "VIRTUAL_ENV", "PYTHONHASHSEED"})


@dataclass(frozen=True)
class Tls:
    """PEM files: the server's key and certificate chain, and the certificate authority that clients trust."""

    certificate: Path
    authority: Path


@dataclass(frozen=True)
class ClickHouseConfig:
    """`port` 0 takes a free one and remembers it; without `users` the server accepts everybody; with `tls` it serves
    https.

    If the kernel cannot confine the server (no Landlock), readers are refused, unless `trust_readers` accepts that they
    can read every file of its process; `unconfined` is for debugging and tests.
    """

    data: Path
    port: int = 0
    users: tuple[User, ...] = ()
    max_queries: int = 32
    max_body_bytes: int = 1 << 30
    tls: Tls | None = None
    trust_readers: bool = False
    unconfined: bool = False


class LocalClickHouse(LocalServer):
    """Ready when `/ping` answers. `start` raises `NotReadyError`."""

    name = "clickhouse"

    def __init__(self, config: ClickHouseConfig) -> None:
        super().__init__(config.data, config.port)
        self._config = config

    @property
    def url(self) -> str:
        return f"http{'s' if self._config.tls else ''}://{LOOPBACK}:{self._port}"

    def launch(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        if self._port == 0:  # otherwise it is fixed, or known to clients from an earlier start
            self._port = remembered_ports(self._data / "ports.json", ("http",))["http"]
        self._child = Child(ChildCommand(self._argv(), log=self.log, env=project_environment(), inherited=INHERITED))
        self._child.launch()

    def probe(self) -> Readiness:
        try:
            self._get("/ping")
        except OSError:
            return Readiness(State.STARTING, self.url, answered=False)
        return Readiness(State.READY, self.url)

    def confinement(self) -> str:
        """Return in one line how the server's process is confined. Raises OSError."""
        return self._get("/walls").strip()

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
