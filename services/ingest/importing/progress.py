"""How far an import is: a bar on a terminal, a line every few seconds elsewhere. On standard error."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from services.ingest.importing.tally import Tally

LINE_SECONDS = 5.0

# Called after every batch with the position in the file.
Shown = Callable[[int], None]


@contextmanager
def shown(size: int | None, tally: Tally) -> Iterator[Shown]:
    """`size` of the file in bytes, None if nobody knows."""
    if sys.stderr.isatty() and size:
        with _bar(size, tally) as show:
            yield show
    else:
        yield _line_by_line(size, tally)


@contextmanager
def _bar(size: int, tally: Tally) -> Iterator[Shown]:
    bar: Any  # its class is private to click
    with click.progressbar(
        length=size, label="import", file=sys.stderr, item_show_func=lambda _: f"{tally.lines:,} lines"
    ) as bar:
        yield lambda position: bar.update(position - bar.pos)


def _line_by_line(size: int | None, tally: Tally) -> Shown:
    began = said = time.monotonic()

    def show(position: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= LINE_SECONDS:
            said = now
            part = f"{100 * position / size:.0f} %, " if size else ""
            click.echo(f"{part}{tally.lines:,} lines, {tally.lines / (now - began):,.0f}/s", err=True)

    return show
