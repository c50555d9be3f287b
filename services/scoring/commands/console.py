"""Shared by the commands: settings, instants as arguments, tables, number formats, and one-line errors."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from schemas.primitives import from_micros, to_micros, to_rfc3339, to_utc
from services.runtime.kafka import KafkaError
from services.runtime.settings import SettingsError, load
from services.scoring.domain.bounds import ONE
from services.scoring.flow.heal import Progress as HealProgress
from services.scoring.flow.settings import ScoringSettings

PIPED_WIDTH = 220
"""The reader of a file or a pipe breaks lines as needed."""


def instant(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """An option callback: ISO 8601 as microseconds; UTC without a zone."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return to_micros(to_utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC)))
    except ValueError as invalid:
        raise click.BadParameter(f"{value!r} is no instant like 2026-08-01T08:30+02:00: {invalid}") from invalid


def command_settings() -> ScoringSettings:
    """Ends with 2 if the environment does not make valid settings."""
    try:
        return load(ScoringSettings, "scoring")
    except SettingsError as invalid:
        click.echo(f"rapport scoring: {invalid}", err=True)
        sys.exit(2)


@contextmanager
def explained(command: str, *expected: type[Exception]) -> Iterator[None]:
    """Turn an unavailable broker, and other expected errors, into one line and exit code 1."""
    try:
        yield
    except (KafkaError, *expected) as problem:
        sys.exit(f"rapport scoring {command}: {problem}")


def output() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def progress() -> Progress:
    """On stderr, removed when done; nothing is drawn without a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}"), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def section(console: Console, title: str, content: Table) -> None:
    if title:
        console.print(Text(title, style="bold"))
    console.print(content)
    console.print()


def table(rows: Iterable[Sequence[object]] = (), /, **columns: str) -> Table:
    """`columns`: each name with `left`, `right`, or `wrap` for the ones that shrink on a narrow console. Text is
    literal: markup is not interpreted."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for name, kind in columns.items():
        justify: Literal["left", "right"] = "right" if kind == "right" else "left"
        made.add_column(name.replace("_", " "), justify=justify, no_wrap=kind != "wrap")
    for row in rows:
        made.add_row(*(Text(str(value)) for value in row))
    return made


def tenths(value: int) -> str:
    """Of tenths of a point: `74.1`."""
    return f"{value / 10:.1f}"


def signed(value: int) -> str:
    """Of tenths of a point: `-3.1`."""
    return f"{value / 10:+.1f}"


def hundredths(value: int) -> str:
    """Of millionths: `0.63`."""
    return f"{value / ONE:.2f}"


def minute(at: int) -> str:
    """Of microseconds, in UTC: `2026-08-01 08:30`."""
    return f"{from_micros(at):%Y-%m-%d %H:%M}"


def rfc3339(at: int) -> str:
    """Of microseconds: `2026-08-01T08:30:00.000000Z`."""
    return to_rfc3339(from_micros(at))


def spaced(name: str) -> str:
    return name.replace("_", " ")


@contextmanager
def working() -> Iterator[HealProgress]:
    with progress() as bar:
        task, stage = bar.add_task("", total=None), ""

        def at(doing: str, done: int, of: int) -> None:
            nonlocal stage
            if doing != stage:
                stage = doing
                bar.reset(task)
                if bar.disable:
                    click.echo(f"  {doing}", err=True)
            bar.update(task, description=doing, completed=done, total=of or None)

        yield at
