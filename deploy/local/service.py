"""A service of ours as a supervised process, which is asked at its health port how it is."""

import http.client
import json
import urllib.error
import urllib.request
from pathlib import Path

from deploy.local.child import Child, ChildCommand
from deploy.local.ports import LOOPBACK
from deploy.local.readiness import Readiness, State

TIMEOUT_SECONDS = 1.0


class Service:
    def __init__(self, name: str, command: ChildCommand, health_port: int) -> None:
        self.name = name
        self._command = command
        self._health_port = health_port
        self._child = Child(command)

    @property
    def log(self) -> Path:
        return self._command.log

    @property
    def pid(self) -> int:
        return self._child.pid

    def launch(self) -> None:
        self._child.launch()

    def exit_code(self) -> int | None:
        return self._child.exit_code()

    def probe(self) -> Readiness:
        return ask_readyz(self._health_port)

    def stop(self) -> None:
        self._child.stop()

    def kill(self) -> None:
        self._child.kill()


def ask_readyz(port: int) -> Readiness:
    """The state is in the body, of a 200 as of a 503; no answer, or half of one, counts as starting."""
    try:
        return _said(_answer(port))
    except (OSError, http.client.HTTPException):
        return Readiness(State.STARTING, "no answer yet", answered=False)


def _answer(port: int) -> bytes:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=TIMEOUT_SECONDS) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.read()


def _said(body: bytes) -> Readiness:
    try:
        said = json.loads(body)
        return Readiness(State(said["state"]), str(said.get("detail") or ""))
    except (ValueError, KeyError, TypeError):
        return Readiness(State.STARTING, body.decode(errors="replace").strip())
