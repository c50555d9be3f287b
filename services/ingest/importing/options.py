"""What an import was asked to do."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from schemas.primitives import iana_zone
from services.ingest.console import command_settings
from services.ingest.importing.entry import STDIN
from services.ingest.importing.excel import SUFFIXES
from services.ingest.importing.row import Defaults
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.settings import IngestSettings


@dataclass(frozen=True)
class Question:
    """`choices` are what may be given for the option; empty for any text, of which `example` is one. `default` is what
    whoever only presses Enter means. `proposal` is a file that would answer it, to be looked over."""

    option: str
    words: str
    choices: tuple[str, ...] = ()
    example: str = ""
    default: str = ""
    proposal: str = ""


Ask = Callable[[Question], str]


def ask() -> Ask:
    return _at_the_terminal if sys.stdin.isatty() and sys.stderr.isatty() else _stopped


def zone_of(name: str) -> str:
    """Raises BadParameter for what is no time zone."""
    try:
        return iana_zone(name)
    except ValueError as unknown:
        raise click.BadParameter(str(unknown)) from unknown


def _at_the_terminal(question: Question) -> str:
    """What is no answer is asked again."""
    kind = click.Choice(question.choices) if question.choices else None
    words = f"{question.words} (such as {question.example})" if question.example else question.words
    read = zone_of if question.option == "--time-zone" else None
    return str(click.prompt(words, type=kind, default=question.default or None, value_proc=read, err=True))


def _stopped(question: Question) -> str:
    given = question.choices or (question.default or question.example or "...",)
    options = " or ".join(f"{question.option} {one}".strip() for one in given)
    raise ImportStoppedError(f"{question.words}: give {options}")


# `.txt` is what Excel calls its tables of Unicode.
TABLES = frozenset({".csv", ".tsv", ".txt"})
PROPOSED = ".columns.yaml"
"""After the name of a table: what its columns and values may be in our words."""


@dataclass(frozen=True)
class Options:
    """`token` is empty in a dry run without one."""

    settings: IngestSettings
    files: tuple[Path, ...]
    kind: str | None
    source: str | None
    program: str | None
    time_zone: str | None
    skip_column: tuple[str, ...]
    columns: tuple[Path, ...]
    sheet: str | None
    encoding: str | None
    day_format: str | None
    decimal_comma: bool | None
    url: str
    token: str
    rejected: Path | None
    patience: float
    clock_reached: str | None
    dry_run: bool
    resume: bool
    heal: bool

    @property
    def file(self) -> Path:
        """The only one, or the first."""
        return self.files[0]

    def is_workbook(self, file: Path) -> bool:
        return file.suffix.lower() in SUFFIXES

    def is_table(self, file: Path) -> bool:
        plain = Path(file.stem) if file.suffix == ".gz" else file
        return self.kind is not None or plain.suffix.lower() in TABLES or self.is_workbook(file)

    def columns_for(self, file: Path) -> tuple[Path, ...]:
        """That which is named after this file, else those that are named after no other of them."""
        own = tuple(one for one in self.columns if one.name == f"{file.name}{PROPOSED}")
        others = {f"{other.name}{PROPOSED}" for other in self.files}
        return own or tuple(one for one in self.columns if one.name not in others)

    @property
    def defaults(self) -> Defaults:
        return Defaults(self.source or "", self.program or "", self.time_zone or "")

    @property
    def state(self) -> Path | None:
        """Where the position is kept: of several files nowhere."""
        if self.dry_run or self.file == STDIN or len(self.files) > 1:
            return None
        return self.file.with_name(f"{self.file.name}.position.json")

    def refused_rows(self, file: Path) -> Path | None:
        """Where they are written as a table."""
        if self.rejected is None or file == STDIN:
            return self.rejected.with_suffix(".csv") if self.rejected else None
        return file.with_name(f"{file.name}.rejected.csv") if len(self.files) > 1 else self.rejected.with_suffix(".csv")


def chosen(given: dict[str, Any]) -> Options:
    """Raises SettingsError, click.UsageError."""
    settings = command_settings()
    secret = settings.ingest_token.get_secret_value() if settings.ingest_token else ""
    files: tuple[Path, ...] = given["files"]
    token = given["token"] or secret
    if not token and not given["dry_run"]:
        raise click.UsageError("give --token or RAPPORT_INGEST_TOKEN")
    if given["resume"] and (STDIN in files or given["dry_run"] or len(files) > 1):
        raise click.UsageError("--resume needs a file, one, and goes on with what was sent: not with --dry-run")
    report = None if files[0] == STDIN else files[0].with_name(f"{files[0].name}.rejected.jsonl")
    ours = {
        "settings": settings,
        "url": given["url"] or f"http://{settings.host}:{settings.ingest_port}",
        "token": token,
        "rejected": given["rejected"] or report,
    }
    return Options(**{**given, **ours})
