"""Sends the events of a file through one gateway process over HTTP. The variant is the number of events per request, or
`paced` for single events at a steady pace."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import httpx

from benchmarks.contestants.paced import paced
from benchmarks.contestants.process_cpu import cpu_of
from benchmarks.contestants.task import Meter, Task, read_task
from benchmarks.events import TENANT
from deploy.local.child import Child, ChildCommand, project_environment
from deploy.local.ports import free_port
from schemas.tokens import Token, hashed, secret_of
from schemas.topics import TOKENS
from services.ingest.console import write
from services.runtime.settings import Settings

READY_TIMEOUT = 60
UNLIMITED = "1000000000"
ACCEPTED = 202
CONNECTIONS = {"1": 64, "100": 8}
"""By variant: enough to keep the gateway busy."""


@dataclass(frozen=True)
class Served:
    url: str
    pid: int


@contextmanager
def gateway(task: Task) -> Iterator[Served]:
    port, health = free_port(set()), free_port(set())
    env = {
        "RAPPORT_KAFKA": task.kafka,
        "RAPPORT_INGEST_PORT": str(port),
        "RAPPORT_INGEST_HEALTH_PORT": str(health),
        "RAPPORT_INGEST_TOKEN_RATE": UNLIMITED,
        "RAPPORT_LOG_FORMAT": "json",
        **(_of(task.project) if task.project else project_environment()),
    }
    argv = (sys.executable, "-m", "services.cli", "ingest", "serve")
    child = Child(ChildCommand(argv, Path(task.folder) / "gateway.log", env))
    child.launch()
    try:
        _await(f"http://127.0.0.1:{health}/readyz")
        yield Served(f"http://127.0.0.1:{port}/v1/events", child.pid)
    finally:
        child.kill()


def _of(project: str) -> dict[str, str]:
    """Exclude the folder from which this process was started."""
    return {"PYTHONPATH": project, "PYTHONSAFEPATH": "1"}


def _await(url: str) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while not _is_ready(url):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the gateway is not ready within {READY_TIMEOUT} s")
        time.sleep(0.1)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def token(task: Task, source: str) -> str:
    name = task.name.replace("-", "_")
    secret = secret_of(Token, name, os.urandom(16).hex())
    made = Token(token_id=name, tenant=TENANT, sha256=hashed(secret), sources=(source,), created=datetime.now(UTC))
    write(Settings(kafka=task.kafka), TOKENS.name, {name: made.model_dump_json().encode()})
    return secret


async def send(task: Task, served: Served, secret: str, bodies: Sequence[bytes]) -> None:
    media = "application/cloudevents-batch+json" if task.variant == "100" else "application/cloudevents+json"
    headers = {"authorization": f"Bearer {secret}", "content-type": media}
    meter = Meter(task, lambda: cpu_of(served.pid))
    async with aiohttp.ClientSession(headers=headers) as session:

        async def post(body: bytes) -> None:
            async with session.post(served.url, data=body) as answer:
                text = await answer.read()
                if answer.status != ACCEPTED:
                    raise RuntimeError(f"{answer.status}: {text[:500]!r}")

        meter.begin()
        latency = await paced(bodies, post) if task.variant == "paced" else await _at_once(task.variant, bodies, post)
    meter.answer(task.count, latency=latency)


async def _at_once(variant: str, bodies: Sequence[bytes], post: Callable[[bytes], Awaitable[None]]) -> dict[str, float]:
    waiting = iter(bodies)

    async def work() -> None:
        for body in waiting:
            await post(body)

    await asyncio.gather(*(work() for _ in range(CONNECTIONS[variant])))
    return {}


def run(task: Task) -> None:
    values = Path(task.log).read_bytes().splitlines()
    size = 1 if task.variant == "paced" else int(task.variant)
    bodies = (
        values
        if size == 1
        else [b"[" + b",".join(values[start : start + size]) + b"]" for start in range(0, len(values), size)]
    )
    secret = token(task, json.loads(values[0])["source"])
    with gateway(task) as served:
        asyncio.run(send(task, served, secret, bodies))


if __name__ == "__main__":
    run(read_task())
