"""Where a replay reads from, as it is asked for: `kafka`, or a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.scoring.domain.profiles import Programmes
from services.scoring.flow.heal import HealEnvironment
from services.scoring.flow.history_file import kind_of
from services.scoring.flow.log_reading import Stored, stored
from services.scoring.flow.replay.jsonl import FileSource
from services.scoring.flow.replay.source import KafkaSource, ReplaySource, ReplaySourceError

KAFKA = "kafka"


@dataclass(frozen=True)
class ReplayOrigin:
    """A source, and by which profiles each of its partitions is scored."""

    source: ReplaySource
    programmes: Mapping[int, Programmes]


def origin(place: HealEnvironment, asked: str) -> ReplayOrigin:
    """What takes the table's place: scored by the profiles that each partition has applied, as its live rows are.
    Raises ReplaySourceError, KafkaError."""
    known = stored(place.settings, place.names)
    if not known.watermarks:
        raise ReplaySourceError("scoring has stored nothing yet: there is nothing to replay")
    return ReplayOrigin(_source(place, asked, known), known.programmes)


def rehearsal_of_file(asked: str) -> ReplayOrigin:
    """A file alone, without broker and database: by the profiles that it sets. Raises ReplaySourceError."""
    source = _file(asked)
    return ReplayOrigin(source, source.programmes)


def _source(place: HealEnvironment, asked: str, known: Stored) -> ReplaySource:
    if asked == KAFKA:
        return KafkaSource(place.settings, place.names, known)
    source = _file(asked)
    if not source.is_placed:
        raise ReplaySourceError(
            f"{asked}: its records have no partition and offset, so that nobody knows what live scoring has told "
            "since: only --dry-run can read it"
        )
    missing = sorted(known.watermarks.keys() - source.upto.keys())
    if missing:
        raise ReplaySourceError(f"{asked}: has nothing of the partitions {missing} of the log")
    return source


def _file(asked: str) -> FileSource:
    file = Path(asked)
    if not file.is_file():
        raise ReplaySourceError(f"{asked}: there is no such file; else say {KAFKA}")
    if kind_of(file) != ".jsonl":
        raise ReplaySourceError(f"{file}: must be named .jsonl or .jsonl.gz")
    return FileSource(file)
