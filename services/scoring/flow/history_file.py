"""A file with a history, plain or gzipped: as lines of text, and as CloudEvents, one JSON per line, as they are sent in
or as they stand on the log."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, cast

from schemas.events import MentoringEvent, partition_key
from services.scoring.flow.decoding import Refusal, event_of


class HistoryError(Exception):
    """The history cannot be used; the message names the place and the reason."""


def kind_of(file: Path) -> str:
    """`.csv` of `contacts.csv` and of `contacts.csv.gz`; empty where there is none."""
    return next((suffix for suffix in reversed(file.suffixes) if suffix != ".gz"), "")


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """Its bytes, whether they are zipped or not. Raises HistoryError where the file breaks off or is not what its name
    says."""
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as octets:
            yield cast("BinaryIO", octets)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as broken:
        raise HistoryError(f"{file}: cannot be read: {broken}") from broken


TENANT = "history"
"""Whose events they are where they do not say it: ingest adds it by the token."""


def jsonl_events(file: Path) -> Iterator[MentoringEvent]:
    """Blank lines are passed over. Raises HistoryError."""
    with opened(file) as octets, TextIOWrapper(octets, "utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _event(line, f"{file}: line {number}")


def _event(line: str, place: str) -> MentoringEvent:
    try:
        sent = json.loads(line)
    except (ValueError, RecursionError) as broken:
        raise HistoryError(f"{place}: is no JSON: {broken}") from broken
    if not isinstance(sent, dict):
        raise HistoryError(f"{place}: must be one CloudEvent, a JSON object")
    event = event_of(json.dumps(_completed(sent)).encode())
    if isinstance(event, Refusal):
        raise HistoryError(f"{place}, {event.path or 'the event'}: {event.detail}")
    return event


def _completed(sent: dict[str, Any]) -> dict[str, Any]:
    """With what ingest would have added."""
    event = {"tenant": TENANT, "recordedtime": sent.get("time"), **sent}
    if "subject" in event:
        event.setdefault("partitionkey", partition_key(event["tenant"], event["subject"]))
    return event
