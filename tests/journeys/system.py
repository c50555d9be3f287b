"""The whole system as separate processes, with a receiver of webhooks, and the questions that journeys ask it."""

import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import httpx
from rich.console import Console

from deploy.local.child import project_environment
from deploy.local.data_folder import ClockMode
from deploy.local.display import display_on
from deploy.local.stack import COMMAND_SECONDS, CommandFailedError, Stack, StackConfig
from tests import plain_http, warm
from tests.receiver import SECRET, Receiver, eventually, receiving

CACHE = Path(__file__).parents[2] / ".rapport" / "cache"
# Where nobody looks at what is derived: every two seconds, that is half of what the warehouse does. Once a minute it
# looks all the same.
DERIVED_SELDOM = {"RAPPORT_WAREHOUSE_RECOMPUTE_SECONDS": "600"}


class AskedStack(Stack):
    """Its services start as everywhere. The commands that prepare it and that tests ask it by, twenty in a journey,
    begin with everything imported: they begin as they are in the journey of the first event."""

    def run(self, *arguments: str, **environment: str) -> str:
        given = {**os.environ, **project_environment(), **self.environment, **environment}
        with TemporaryFile() as out:
            process = warm.start(warm.RAPPORT, arguments, given, out.fileno())
            try:
                code = process.wait(COMMAND_SECONDS)
            finally:
                process.kill()
            out.seek(0)
            said = out.read().decode()
        if code != 0:
            raise CommandFailedError(f"rapport {' '.join(arguments)} failed ({code}):\n{said}")
        return said


@dataclass(frozen=True)
class System:
    stack: Stack
    receiver: Receiver

    def token(self, tenant: str, *sources: str) -> str:
        named = [word for source in sources for word in ("--source", source)]
        said = self.stack.run("ingest", "token", "create", "--tenant", tenant, "--admin", *named)
        token = next(word for word in said.split() if word.startswith("rpt_"))
        # A gateway hears of it within about a second.
        eventually(lambda: self.post(token, []).status_code != httpx.codes.UNAUTHORIZED, what="the token is known")
        return token

    def post(self, token: str, events: Sequence[Mapping[str, Any]]) -> httpx.Response:
        return plain_http.post(
            f"{self.stack.gateway_url}/v1/events",
            content=json.dumps(events),
            headers={"authorization": f"Bearer {token}", "content-type": "application/cloudevents-batch+json"},
            timeout=30,
        )

    def ask(self, sql: str, **parameters: str) -> list[list[Any]]:
        """Rows of a query by the login that reads tables too."""
        answer = plain_http.post(
            self.stack.clickhouse_url,
            params={"default_format": "JSONCompactEachRow"} | {f"param_{k}": v for k, v in parameters.items()},
            content=sql,
            auth=("analyst", "analyst"),
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def verify(self) -> str:
        """Raises CommandFailedError when the rows in ClickHouse are not the truth."""
        return self.stack.run("scoring", "verify")


@contextmanager
def system(data: Path, clock: ClockMode, **environment: str) -> Iterator[System]:
    with receiving() as receiver:
        webhook = {
            "RAPPORT_NOTIFY_WEBHOOK_URL": receiver.url,
            "RAPPORT_NOTIFY_WEBHOOK_SECRET": SECRET,
            "RAPPORT_NOTIFY_WEBHOOK_ALLOW_PRIVATE": "true",
        }
        config = StackConfig(data=data, clock=clock, cache=CACHE, environment={**webhook, **environment})
        with AskedStack(config, display_on(Console(file=io.StringIO()))) as stack:
            yield System(stack, receiver)


def event(relationship: str, kind: str, time: datetime, **data: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    return {
        "specversion": "1.0",
        "source": "/test",
        "id": f"{relationship}-{kind}-{time.isoformat()}-{data.get('by', '')}",
        "type": f"mentoring.{kind}.v1",
        "time": time.isoformat(),
        "subject": relationship,
        "program": "journey",
        "data": data,
    }


def clock_reached(time: datetime) -> dict[str, Any]:
    """The log is known up to here."""
    said = event("clock", "clock.reached", time)
    return {k: v for k, v in said.items() if k not in {"subject", "program"}} | {"data": {"time": time.isoformat()}}
