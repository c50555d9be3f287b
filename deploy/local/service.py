"""A service of ours as a supervised process."""

from pathlib import Path

from deploy.local.child import Child, ChildCommand
from deploy.local.readiness import Readiness
from deploy.local.readyz import ask_readyz


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
