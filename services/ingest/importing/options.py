"""The options of an import, and the questions for options that are missing."""

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
from services.ingest.importing.row import RowDefaults
from services.ingest.importing.sender import ImportStoppedError
from services.ingest.settings import IngestSettings


@dataclass(frozen=True)
class OptionQuestion:
    """Asks for a missing option. `choices` are its allowed values; empty for free text, of which `example` is one.
    `default` is used when only Enter is pressed. `proposal` is the content of a file that would answer the question, to
    be reviewed."""

    option: str
    text: str
    choices: tuple[str, ...] = ()
    example: str = ""
    default: str = ""
    proposal: str = ""


Ask = Callable[[OptionQuestion], str]


def question_handler() -> Ask:
    return _prompt if sys.stdin.isatty() and sys.stderr.isatty() else _stop


def time_zone_name(name: str) -> str:
    """Raises BadParameter for a name that is no time zone."""
    try:
        return iana_zone(name)
    except ValueError as unknown:
        raise click.BadParameter(str(unknown)) from unknown


def _prompt(question: OptionQuestion) -> str:
    """Asks again after an invalid answer."""
    kind = click.Choice(question.choices) if question.choices else None
    text = f"{question.text} (such as {question.example})" if question.example else question.text
    read = time_zone_name if question.option == "--time-zone" else None
    return str(click.prompt(text, type=kind, default=question.default or None, value_proc=read, err=True))


def _stop(question: OptionQuestion) -> str:
    given = question.choices or (question.default or question.example or "...",)
    options = " or ".join(f"{question.option} {one}".strip() for one in given)
    raise ImportStoppedError(f"{question.text}: give {options}")


# Excel's `Unicode Text` format has the suffix .txt.
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".txt"})
PROPOSAL_SUFFIX = ".columns.yaml"
"""Follows the name of a table: the file that proposes the mapping of its columns and values."""


@dataclass(frozen=True)
class ImportOptions:
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
        """The only file, or the first."""
        return self.files[0]

    def is_workbook(self, file: Path) -> bool:
        return file.suffix.lower() in SUFFIXES

    def is_table(self, file: Path) -> bool:
        plain = Path(file.stem) if file.suffix == ".gz" else file
        return self.kind is not None or plain.suffix.lower() in TABLE_SUFFIXES or self.is_workbook(file)

    def columns_for(self, file: Path) -> tuple[Path, ...]:
        """Return the mapping files named after this file, else those named after no other input file."""
        own = tuple(one for one in self.columns if one.name == f"{file.name}{PROPOSAL_SUFFIX}")
        others = {f"{other.name}{PROPOSAL_SUFFIX}" for other in self.files}
        return own or tuple(one for one in self.columns if one.name not in others)

    @property
    def defaults(self) -> RowDefaults:
        return RowDefaults(self.source or "", self.program or "", self.time_zone or "")

    @property
    def checkpoint_file(self) -> Path | None:
        """Where the checkpoint is stored; None for several files."""
        if self.dry_run or self.file == STDIN or len(self.files) > 1:
            return None
        return self.file.with_name(f"{self.file.name}.position.json")

    def refused_rows_file(self, file: Path) -> Path | None:
        """The path of the table of refused rows."""
        if self.rejected is None or file == STDIN:
            return self.rejected.with_suffix(".csv") if self.rejected else None
        return file.with_name(f"{file.name}.rejected.csv") if len(self.files) > 1 else self.rejected.with_suffix(".csv")


def parse_options(given: dict[str, Any]) -> ImportOptions:
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
    resolved = {
        "settings": settings,
        "url": given["url"] or f"http://{settings.host}:{settings.ingest_port}",
        "token": token,
        "rejected": given["rejected"] or report,
    }
    return ImportOptions(**{**given, **resolved})
