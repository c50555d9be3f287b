"""`rapport ingest requeue`: what lies in quarantine is judged once more."""

from datetime import UTC, datetime
from typing import Any

import click

from services.ingest.commands.console import command_settings, explained
from services.ingest.commands.quarantine_filters import filters, wanted
from services.ingest.flow.rejected import Requeued, rehearse
from services.ingest.flow.rejected import requeue as send_again

DEFAULT_REASONS = ("unresolved",)


@click.command()
@click.argument("origins", nargs=-1, metavar="[ORIGIN...]")
@filters
@click.option("--dry-run", is_flag=True, help="Say how many, send nothing.")
def requeue(*, origins: tuple[str, ...], dry_run: bool, **options: Any) -> None:  # noqa: ANN401 (as click has parsed them)
    """Send what lies in quarantine back to the raw topic that it came from, as it came: those named, else those whose
    reason is `unresolved`, else those that the options choose.

    For example after the pair of a meeting has become known. What is rejected again lies in quarantine anew; what was
    sent again once is not sent a second time."""
    chosen = wanted(options | {"reasons": options["reasons"] or (() if origins else DEFAULT_REASONS)}, origins)
    with explained():
        settings = command_settings()
        done = rehearse(settings, chosen) if dry_run else send_again(settings, chosen, datetime.now(UTC))
    click.echo(_in_words(done, "would be sent again" if dry_run else "sent again"))


def _in_words(done: Requeued, verb: str) -> str:
    parts = [f"{done.again} {verb}"]
    if done.before:
        parts.append(f"{done.before} had been already")
    parts += [f"{count} cannot be: {words}" for words, count in sorted(done.hindered.items())]
    return ", ".join(parts)
