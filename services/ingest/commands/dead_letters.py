"""`rapport ingest rejected list|show|export` and `rapport ingest requeue`: the dead letters of ingest."""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce
from heapq import nlargest
from typing import Any, TextIO, TypeVar
from zoneinfo import ZoneInfo

import click

from schemas.primitives import to_rfc3339
from services.ingest.console import command_settings, print_columns, report_errors
from services.ingest.domain.dead_letters import DeadLetter, DeadLetterFilter, harmless, preview
from services.ingest.flow.dead_letters import read_rejected, requeue_dry_run, requeued_keys
from services.ingest.flow.dead_letters import requeue as send_again
from services.ingest.importing.cell_formats import InvalidCellError, instant

Command = TypeVar("Command", bound=Callable[..., Any])

_AGO = re.compile(r"([0-9]{1,5})([mhd])")
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class Since(click.ParamType):
    """`90m`, `24h`, `7d` ago, or a time; a time without a zone is UTC."""

    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:  # noqa: ANN401 (click's signature)
        ago = _AGO.fullmatch(value)
        if ago:
            return datetime.now(UTC) - int(ago[1]) * UNITS[ago[2]]
        try:
            return datetime.fromisoformat(instant(value, ZoneInfo("UTC")))
        except InvalidCellError as wrong:
            self.fail(f"{value!r} {wrong}; or 90m, 24h, 7d for ago", param, ctx)


_OPTIONS = (
    click.option("--reason", "reasons", multiple=True, help="Only this reason, such as unresolved, invalid, conflict."),
    click.option("--tool", "tools", multiple=True),
    click.option("--connection", "connections", multiple=True),
    click.option("--topic", "topics", multiple=True, help="Only from this topic, such as mentoring.raw.zoom."),
    click.option("--since", type=Since(), help="Only those rejected since: 90m, 24h, 7d ago, or a time."),
)


def filters(command: Command) -> Command:
    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)


def filter_from(given: dict[str, Any], keys: tuple[str, ...] = ()) -> DeadLetterFilter:
    names = ("reasons", "tools", "connections", "topics")
    return DeadLetterFilter(
        **{name: frozenset(given[name]) for name in names}, keys=frozenset(keys), since=given["since"]
    )


COLUMNS = ("SET ASIDE", "STATE", "REASON", "TOOL", "CONNECTION", "ORIGIN", "DETAIL")
LONGEST_DETAIL = 100
MAX_SHOWN = 20_000


@click.group()
def rejected() -> None:
    """Records that were rejected, kept for 30 days with the reason."""


@rejected.command("list")
@filters
@click.option("--limit", default=50, show_default=True, help="Show at most this many, the newest.")
@click.option("--json", "as_json", is_flag=True, help="One JSON per line.")
def list_(*, limit: int, as_json: bool, **options: Any) -> None:  # noqa: ANN401 (as click has parsed them)
    """List rejected records, the newest first. `show` and `requeue` take the values under ORIGIN."""
    with report_errors():
        settings = command_settings()
        done = requeued_keys(settings)
        found = nlargest(limit, read_rejected(settings, filter_from(options)), key=lambda one: one.since)
    if as_json:
        for one in found:
            click.echo(json.dumps(_summary(one) | {"state": _state(one, done)}))
        return
    rows: list[tuple[str, ...]] = [COLUMNS]
    for one in found:
        cells = (one.reason, one.tool, one.connection, one.key, one.detail[:LONGEST_DETAIL])
        rows.append((to_rfc3339(one.since)[:19] + "Z", _state(one, done), *map(harmless, cells)))
    print_columns(rows)
    click.echo(f"{len(found)} listed" + (", there may be more: --limit" if len(found) == limit else ""), err=True)


@rejected.command()
@click.argument("origin")
@click.option("--json", "as_json", is_flag=True)
def show(origin: str, *, as_json: bool) -> None:
    """Show one rejected record with its bytes and headers. ORIGIN is topic/partition/offset, as in `list`."""
    with report_errors():
        settings = command_settings()
        one = next(read_rejected(settings, DeadLetterFilter(keys=frozenset({origin}))), None)
        if one is None:
            raise click.ClickException(f"there is no rejected record {origin!r}")
        state = _state(one, requeued_keys(settings))
    if as_json:
        click.echo(json.dumps(_summary(one) | {"state": state} | _content(one)))
        return
    click.echo(f"{one.key}, set aside {to_rfc3339(one.since)}, {state}")
    click.echo(harmless(f"{one.reason}: {one.detail}"))
    for name, value in one.headers:
        click.echo(f"  {harmless(name)}: {preview(value, LONGEST_DETAIL)}")
    click.echo(preview(one.value, MAX_SHOWN))


@rejected.command()
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True))
@filters
def export(*, file: TextIO, **options: Any) -> None:  # noqa: ANN401 (as click has parsed them)
    """Write rejected records to FILE (- for standard output), one JSON object per line, with their bytes and headers.

    The file holds personal data as tools sent them.
    """
    count = 0
    with report_errors():
        for one in read_rejected(command_settings(), filter_from(options)):
            file.write(json.dumps(_summary(one) | _content(one)) + "\n")
            count += 1
    click.echo(f"{count} exported", err=True)


def _state(one: DeadLetter, done: frozenset[str]) -> str:
    return "requeued" if one.key in done else "waiting"


def _summary(one: DeadLetter) -> dict[str, object]:
    ours = {"origin": one.key, "set_aside": to_rfc3339(one.since)}
    return {**ours, "reason": one.reason, "tool": one.tool, "connection": one.connection, "notes": dict(one.notes)}


def _content(one: DeadLetter) -> dict[str, object]:
    """Text as text, anything else as base64."""
    headers = [[name, value.decode(errors="backslashreplace")] for name, value in one.headers]
    try:
        return {"headers": headers, "value": one.value.decode()}
    except UnicodeDecodeError:
        return {"headers": headers, "value_base64": b64encode(one.value).decode()}


DEFAULT_REASONS = ("unresolved",)


@click.command()
@click.argument("origins", nargs=-1, metavar="[ORIGIN...]")
@filters
@click.option("--dry-run", is_flag=True, help="Print how many would be sent, send nothing.")
def requeue(*, origins: tuple[str, ...], dry_run: bool, **options: Any) -> None:  # noqa: ANN401 (as click has parsed them)
    """Send rejected records back to the raw topic that they came from, unchanged: those named, else those with the
    reason `unresolved`, else those that the options select.

    Use it, for example, after the relationship of a meeting has been declared. A record that is rejected again becomes
    a new rejected record; a record is never sent again twice.
    """
    chosen = filter_from(options | {"reasons": options["reasons"] or (() if origins else DEFAULT_REASONS)}, origins)
    with report_errors():
        settings = command_settings()
        done = requeue_dry_run(settings, chosen) if dry_run else send_again(settings, chosen, datetime.now(UTC))
    parts = [f"{done.again} {'would be sent again' if dry_run else 'sent again'}"]
    if done.before:
        parts.append(f"{done.before} had been already")
    parts += [f"{count} cannot be: {words}" for words, count in sorted(done.hindered.items())]
    click.echo(", ".join(parts))
