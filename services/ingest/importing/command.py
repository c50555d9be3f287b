"""`rapport ingest import FILE`: the command line of an import."""

import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

from services.ingest.commands.console import command_settings, explained
from services.ingest.importing.final_clock import report_clock, source_of
from services.ingest.importing.lines import STDIN, Line, LinesFile, batches
from services.ingest.importing.progress import shown
from services.ingest.importing.sendable import sorted_out
from services.ingest.importing.sender import ANSWER_SECONDS, Sender
from services.ingest.importing.stopped import ImportStoppedError
from services.ingest.importing.tally import Tally

INTERRUPTED = 130


@dataclass(frozen=True)
class _Options:
    file: Path
    url: str
    token: str
    rejected: Path | None
    patience: float
    clock_reached: str | None
    source: str | None


@click.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True, exists=True))
@click.option("--url", help="Of the gateway; default: on this machine, RAPPORT_INGEST_PORT.")
@click.option("--token", help="Default: RAPPORT_INGEST_TOKEN.")
@click.option("--rejected", type=click.Path(dir_okay=False, path_type=Path), help="Default: FILE.rejected.jsonl")
@click.option("--patience", default=300.0, show_default=True, help="Seconds the gateway may stay away.")
@click.option(
    "--clock-reached", metavar="TIME", help="Say at the end that the log is complete up to TIME (log's clock)."
)
@click.option("--source", help="Of that last event; default: that of the last line.")
def import_events(**options: Any) -> None:  # noqa: ANN401 (as click has parsed them)
    """Send the CloudEvents of FILE, one JSON per line (.gz too, - for standard input), through the gateway.

    Running it again is harmless: what is recorded already counts as a duplicate."""
    with explained():
        chosen = _chosen(options)
    tally = Tally(chosen.rejected)
    try:
        _import(chosen, tally)
    except ImportStoppedError as stopped:
        click.echo(f"stopped after line {tally.last_line}: {stopped}", err=True)
        _end(tally, 1)
    except KeyboardInterrupt:
        click.echo(f"interrupted after line {tally.last_line}; running it again is harmless", err=True)
        _end(tally, INTERRUPTED)
    _end(tally, 1 if tally.rejected else 0)


def _chosen(options: dict[str, Any]) -> _Options:
    settings = command_settings()
    secret = settings.ingest_token.get_secret_value() if settings.ingest_token else None
    file: Path = options["file"]
    token = options["token"] or secret
    if token is None:
        raise click.UsageError("give --token or RAPPORT_INGEST_TOKEN")
    report = None if file == STDIN else file.with_name(f"{file.name}.rejected.jsonl")
    return _Options(
        **{
            **options,
            "url": options["url"] or f"http://{settings.host}:{settings.ingest_port}",
            "token": token,
            "rejected": options["rejected"] or report,
        }
    )


def _import(options: _Options, tally: Tally) -> None:
    headers = {"authorization": f"Bearer {options.token}"}
    with httpx.Client(base_url=options.url, headers=headers, timeout=ANSWER_SECONDS) as client, closing(tally):
        sender = Sender(client, options.patience, lambda words: click.echo(words, err=True))
        last = _send_lines(sender, options.file, tally)
        if options.clock_reached and tally.rejected:
            raise ImportStoppedError("the clock event is not sent, because lines were rejected")
        if options.clock_reached:
            report_clock(sender, options.clock_reached, options.source or source_of(last))


def _send_lines(sender: Sender, file: Path, tally: Tally) -> Line | None:
    """Returns the last line."""
    last = None
    with LinesFile(file) as lines, shown(lines.size, tally) as show:
        for batch in batches(lines):
            _send(sender, batch, tally)
            show(lines.position())
            last = batch[-1]
    return last


def _send(sender: Sender, batch: list[Line], tally: Tally) -> None:
    good, broken = sorted_out(batch)
    answers = zip(good, sender.send(good), strict=True) if good else ()
    for line, answer in sorted([*answers, *broken], key=lambda pair: pair[0].number):
        tally.count(line, answer)


def _end(tally: Tally, code: int) -> None:
    click.echo(f"{tally.recorded} new, {tally.duplicates} duplicates, {tally.rejected} rejected")
    sys.exit(code)
