"""`rapport up` and `rapport demo`: the whole system on this machine."""

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import click

from deploy.local.data_folder import ClockMode
from deploy.local.demo import sample
from deploy.local.demo.run import demo
from deploy.local.running import report_addresses, run_stack
from deploy.local.stack import StackConfig

ROOT = Path(".rapport")
TRUST_READERS = click.option(
    "--trust-readers", is_flag=True, help="Admit ClickHouse's readers even if the kernel cannot confine the server."
)
FIRST_PORT = click.option(
    "--first-port", type=click.IntRange(1024, 65_000), help="Port of the gateway; all other ports follow it."
)


def data_option(folder: Path) -> Callable[[Callable[..., None]], Callable[..., None]]:
    kind = click.Path(path_type=Path, file_okay=False)
    return click.option("--data", type=kind, default=folder, show_default=True, help="Folder for all data.")


@click.group()
def main() -> None:
    """The whole system on this machine: Kafka, ClickHouse and the services."""


@main.command()
@data_option(ROOT / "up")
@FIRST_PORT
@TRUST_READERS
def up(*, data: Path, first_port: int | None, trust_readers: bool) -> None:
    """Run everything on the wall clock until Ctrl-C.

    If RAPPORT_KAFKA or RAPPORT_CLICKHOUSE is set, that broker or server is used. Exception: a value that the shell has
    from the env file of a stack belongs to that stack. The same stack starts its own again; any other stack ignores the
    value.
    """
    run_stack(replace(config(data, ClockMode.WALL, first_port), trust_readers=trust_readers), report_addresses)


@main.command("demo")
@data_option(ROOT / "demo")
@FIRST_PORT
@TRUST_READERS
def demo_(*, data: Path, first_port: int | None, trust_readers: bool) -> None:
    """Run everything on the log's clock with three years of real contacts, and show the results.

    The contacts are sent through the gateway. This takes a few minutes; the first run takes longer, because it fetches
    Kafka. A second run continues where the first one ended.
    """
    click.echo("The demo takes about 3 minutes, in four steps; the first time longer, while")
    click.echo("Kafka is fetched. What it shows goes on running until Ctrl-C.")
    click.echo("Step 1 of 4: starting Kafka, ClickHouse and the services (about 30 s)")
    shared = config(data, ClockMode.LOG, first_port)
    run_stack(replace(shared, trust_readers=trust_readers, tenant=sample.TENANT), demo)


def config(data: Path, clock: ClockMode, first_port: int | None) -> StackConfig:
    """The configuration that `up` and `demo` share."""
    connections = external_setting("RAPPORT_INGEST_CONNECTIONS", os.environ)
    return StackConfig(
        data=data,
        clock=clock,
        cache=ROOT / "cache",
        kafka=external_setting("RAPPORT_KAFKA", os.environ),
        clickhouse=external_setting("RAPPORT_CLICKHOUSE", os.environ),
        first_port=first_port,
        environment={"RAPPORT_INGEST_CONNECTIONS": connections} if connections else {},
    )


OWN_PARTS = {
    "RAPPORT_KAFKA": "kafka",
    "RAPPORT_CLICKHOUSE": "clickhouse",
    "RAPPORT_INGEST_CONNECTIONS": "connections.yaml",
}
"""The files in a stack's folder that exist if the stack brings this part itself."""


def external_setting(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the value of the variable; None where the shell has it from the env file of a stack that brings this part
    itself: that stack starts the part again, and no other stack may write to it."""
    value, data = environ.get(name), environ.get("RAPPORT_DATA")
    if not value or not data or not (Path(data) / OWN_PARTS[name]).exists():
        return value or None
    env = Path(data) / "env"
    lines = env.read_text().splitlines() if env.exists() else []
    return None if f"export {name}={shlex.quote(value)}" in lines else value
