"""`rapport up` and `rapport demo`: the whole system on this machine."""

import os
from dataclasses import replace
from pathlib import Path

import click

from deploy.local.data_folder import Clock
from deploy.local.demo.run import demo
from deploy.local.running import run_stack, say_addresses
from deploy.local.stack import StackConfig

ROOT = Path(".rapport")


TRUST_READERS = click.option(
    "--trust-readers", is_flag=True, help="Admit ClickHouse's readers even where the kernel cannot confine it."
)


@click.group()
def main() -> None:
    """The whole system on this machine: Kafka, ClickHouse and the services."""


@main.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "up",
    show_default=True,
    help="Folder that keeps everything.",
)
@click.option("--first-port", type=click.IntRange(1024, 65_000), help="Gateway here, all others right after it.")
@TRUST_READERS
def up(*, data: Path, first_port: int | None, trust_readers: bool) -> None:
    """Run everything on the wall clock until Ctrl-C.

    With RAPPORT_KAFKA or RAPPORT_CLICKHOUSE set, the broker or the server named there is used.
    """
    run_stack(replace(config(data, Clock.WALL, first_port), trust_readers=trust_readers), say_addresses)


@main.command("demo")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "demo",
    show_default=True,
    help="Folder that keeps everything.",
)
@click.option("--first-port", type=click.IntRange(1024, 65_000), help="Gateway here, all others right after it.")
@TRUST_READERS
def demo_(*, data: Path, first_port: int | None, trust_readers: bool) -> None:
    """Run everything on the log's clock with two years of real contacts, and show what came of them.

    The contacts are streamed through the gateway. A second run goes on where the first one ended.
    """
    run_stack(replace(config(data, Clock.LOG, first_port), trust_readers=trust_readers), demo)


def config(data: Path, clock: Clock, first_port: int | None) -> StackConfig:
    """What `up` and `demo` share."""
    return StackConfig(
        data=data,
        clock=clock,
        cache=ROOT / "cache",
        kafka=os.environ.get("RAPPORT_KAFKA"),
        clickhouse=os.environ.get("RAPPORT_CLICKHOUSE"),
        first_port=first_port,
    )
