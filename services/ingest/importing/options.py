"""What an import was asked to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from services.ingest.commands.console import command_settings
from services.ingest.importing.lines import STDIN
from services.ingest.importing.row import Defaults
from services.ingest.settings import IngestSettings

TABLES = frozenset({".csv", ".tsv"})


@dataclass(frozen=True)
class Options:
    """`token` is empty in a dry run without one."""

    settings: IngestSettings
    file: Path
    kind: str | None
    source: str | None
    program: str | None
    time_zone: str | None
    skip_column: tuple[str, ...]
    url: str
    token: str
    rejected: Path | None
    patience: float
    clock_reached: str | None
    dry_run: bool
    resume: bool
    heal: bool

    @property
    def is_table(self) -> bool:
        plain = Path(self.file.stem) if self.file.suffix == ".gz" else self.file
        return self.kind is not None or plain.suffix.lower() in TABLES

    @property
    def defaults(self) -> Defaults:
        return Defaults(self.source or "", self.program or "", self.time_zone or "")

    @property
    def state(self) -> Path | None:
        """Where the position is kept."""
        return None if self.dry_run or self.file == STDIN else self.file.with_name(f"{self.file.name}.position.json")


def chosen(given: dict[str, Any]) -> Options:
    """Raises SettingsError, click.UsageError."""
    settings = command_settings()
    secret = settings.ingest_token.get_secret_value() if settings.ingest_token else ""
    file: Path = given["file"]
    token = given["token"] or secret
    if not token and not given["dry_run"]:
        raise click.UsageError("give --token or RAPPORT_INGEST_TOKEN")
    if given["resume"] and (file == STDIN or given["dry_run"]):
        raise click.UsageError("--resume needs a file, and goes on with what was sent: not with --dry-run")
    report = None if file == STDIN else file.with_name(f"{file.name}.rejected.jsonl")
    ours = {
        "settings": settings,
        "url": given["url"] or f"http://{settings.host}:{settings.ingest_port}",
        "token": token,
        "rejected": given["rejected"] or report,
    }
    return Options(**{**given, **ours})
