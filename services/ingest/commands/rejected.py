"""`rapport ingest rejected list|show|export`: what lies in quarantine and why."""

import json
from base64 import b64encode
from heapq import nlargest
from typing import Any, TextIO

import click

from schemas.primitives import to_rfc3339
from services.ingest.commands.columns import print_columns
from services.ingest.commands.console import command_settings, explained
from services.ingest.commands.quarantine_filters import filters, wanted
from services.ingest.domain.harmless import harmless, shown
from services.ingest.domain.quarantined import Quarantined, Wanted
from services.ingest.flow.rejected import read_rejected, requeued_keys

HEAD = ("SET ASIDE", "STATE", "REASON", "TOOL", "CONNECTION", "ORIGIN", "DETAIL")
LONGEST_DETAIL = 100
MOST_SHOWN = 20_000


@click.group()
def rejected() -> None:
    """What could not be let in, kept for 30 days with the reason."""


@rejected.command("list")
@filters
@click.option("--limit", default=50, show_default=True, help="The newest so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON per line.")
def list_(*, limit: int, as_json: bool, **options: Any) -> None:  # noqa: ANN401 (as click has parsed them)
    """List them, the newest first. `show` and `requeue` take what stands under ORIGIN."""
    with explained():
        settings = command_settings()
        done = requeued_keys(settings)
        found = nlargest(limit, read_rejected(settings, wanted(options)), key=lambda one: one.since)
    if as_json:
        for one in found:
            click.echo(json.dumps(_told(one) | {"state": _state(one, done)}))
        return
    print_columns([HEAD, *(_row(one, done) for one in found)])
    click.echo(f"{len(found)} listed" + (", there may be more: --limit" if len(found) == limit else ""), err=True)


@rejected.command()
@click.argument("origin")
@click.option("--json", "as_json", is_flag=True)
def show(origin: str, *, as_json: bool) -> None:
    """Show one with its bytes and headers; ORIGIN as `list` says it: topic/partition/offset."""
    with explained():
        settings = command_settings()
        one = next(read_rejected(settings, Wanted(keys=frozenset({origin}))), None)
        if one is None:
            raise click.ClickException(f"there is nothing of {origin!r} in quarantine")
        state = _state(one, requeued_keys(settings))
    if as_json:
        click.echo(json.dumps(_told(one) | {"state": state} | _content(one)))
        return
    click.echo(f"{one.key}, set aside {to_rfc3339(one.since)}, {state}")
    click.echo(harmless(f"{one.reason}: {one.detail}"))
    for name, value in one.headers:
        click.echo(f"  {harmless(name)}: {shown(value, LONGEST_DETAIL)}")
    click.echo(shown(one.value, MOST_SHOWN))


@rejected.command()
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True))
@filters
def export(*, file: TextIO, **options: Any) -> None:  # noqa: ANN401 (as click has parsed them)
    """Write them to FILE (- for standard output), one JSON per line, with their bytes and headers.

    The file holds personal data as tools sent them."""
    count = 0
    with explained():
        for one in read_rejected(command_settings(), wanted(options)):
            file.write(json.dumps(_told(one) | _content(one)) + "\n")
            count += 1
    click.echo(f"{count} exported", err=True)


def _state(one: Quarantined, done: frozenset[str]) -> str:
    return "requeued" if one.key in done else "waiting"


def _row(one: Quarantined, done: frozenset[str]) -> tuple[str, ...]:
    cells = (one.reason, one.tool, one.connection, one.key, one.detail[:LONGEST_DETAIL])
    return (to_rfc3339(one.since)[:19] + "Z", _state(one, done), *map(harmless, cells))


def _told(one: Quarantined) -> dict[str, object]:
    ours = {"origin": one.key, "set_aside": to_rfc3339(one.since)}
    return {**ours, "reason": one.reason, "tool": one.tool, "connection": one.connection, "notes": dict(one.notes)}


def _content(one: Quarantined) -> dict[str, object]:
    """As text where it is text, else as base64."""
    headers = [[name, value.decode(errors="backslashreplace")] for name, value in one.headers]
    try:
        return {"headers": headers, "value": one.value.decode()}
    except UnicodeDecodeError:
        return {"headers": headers, "value_base64": b64encode(one.value).decode()}
