"""Packages that only some commands need: whoever runs the service need not install them."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

OURS = frozenset({"", "schemas", "services"})


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around the import of what needs an extra: says which one is to be installed."""
    try:
        yield
    except ModuleNotFoundError as missing:
        top = (missing.name or "").split(".")[0]
        if top in OURS:
            raise
        raise click.ClickException(f"this needs the module {top}: pip install 'rapport[{name}]'") from missing
