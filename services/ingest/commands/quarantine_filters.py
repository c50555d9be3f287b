"""Which records in quarantine a command is about."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from services.ingest.domain.quarantined import Wanted
from services.ingest.importing.moments import UncertainError, instant

Command = TypeVar("Command", bound=Callable[..., Any])

_AGO = re.compile(r"([0-9]{1,5})([mhd])")
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class Since(click.ParamType):
    """`90m`, `24h`, `7d` ago, or a time; one without a zone is UTC."""

    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:  # noqa: ANN401 (click's signature)
        ago = _AGO.fullmatch(value)
        if ago:
            return datetime.now(UTC) - int(ago[1]) * UNITS[ago[2]]
        try:
            return datetime.fromisoformat(instant(value, ZoneInfo("UTC")))
        except UncertainError as wrong:
            self.fail(f"{value!r} {wrong}; or 90m, 24h, 7d for ago", param, ctx)


_OPTIONS = (
    click.option("--reason", "reasons", multiple=True, help="Such as unresolved, invalid, conflict."),
    click.option("--tool", "tools", multiple=True),
    click.option("--connection", "connections", multiple=True),
    click.option("--topic", "topics", multiple=True, help="Where it came from, such as mentoring.raw.zoom."),
    click.option("--since", type=Since(), help="Set aside since: 90m, 24h, 7d ago, or a time."),
)


def filters(command: Command) -> Command:
    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)


def wanted(given: dict[str, Any], keys: tuple[str, ...] = ()) -> Wanted:
    names = ("reasons", "tools", "connections", "topics")
    return Wanted(**{name: frozenset(given[name]) for name in names}, keys=frozenset(keys), since=given["since"])
