"""Work in stages, shown as one bar on stderr; where nobody looks, each stage is one line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from services.scoring.commands.console import progress

At = Callable[[str, int, int], object]
"""What is being done, how much of it is done, and how much there is to do (0: nobody knows)."""


@contextmanager
def working() -> Iterator[At]:
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
