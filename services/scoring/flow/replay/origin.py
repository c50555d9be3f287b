"""Where a replay reads from, as it is asked for: `kafka`, `clickhouse`, or a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.scoring.domain.profiles import Programmes
from services.scoring.flow.heal.heal import Place
from services.scoring.flow.log_reading import Stored, stored
from services.scoring.flow.replay.clickhouse import ClickHouseSource
from services.scoring.flow.replay.files import FileSource, Reading
from services.scoring.flow.replay.jsonl import jsonl_records
from services.scoring.flow.replay.kafka import KafkaSource
from services.scoring.flow.replay.source import ReplaySourceError, Source
from services.scoring.flow.sink import await_sink

KAFKA, CLICKHOUSE = "kafka", "clickhouse"


@dataclass(frozen=True)
class Origin:
    """A source, and by which profiles each of its partitions is scored."""

    source: Source
    programmes: Mapping[int, Programmes]


def origin(place: Place, asked: str) -> Origin:
    """What takes the table's place: scored by what each partition was told of the programmes, as its live rows are.
    Raises ReplaySourceError, SinkBehindError, KafkaError, ClickHouseError."""
    known = stored(place.settings, place.names)
    if not known.watermarks:
        raise ReplaySourceError("scoring has stored nothing yet: there is nothing to replay")
    return Origin(_source(place, asked, known), known.programmes)


def rehearsal_of_file(asked: str) -> Origin:
    """A file alone, without broker and database: by the default profile. Raises ReplaySourceError."""
    source = _file(asked)
    return Origin(source, {number: Programmes() for number in source.upto})


def is_file(asked: str) -> bool:
    return asked not in {KAFKA, CLICKHOUSE}


def _source(place: Place, asked: str, known: Stored) -> Source:
    if asked == KAFKA:
        return KafkaSource(place.settings, place.names, known)
    if asked == CLICKHOUSE:
        await_sink(place.settings, place.names.events, place.sink)
        return ClickHouseSource(place.settings, place.names, known)
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
        raise ReplaySourceError(f"{asked}: there is no such file; else say {KAFKA} or {CLICKHOUSE}")
    return FileSource(file, _reading(file))


def _reading(file: Path) -> Reading:
    match [suffix for suffix in file.suffixes if suffix != ".gz"][-1:]:
        case [".jsonl"]:
            return jsonl_records
        case [".parquet"]:
            from services.scoring.flow.replay.parquet import parquet_records  # noqa: PLC0415 (an extra of its own)

            return parquet_records
        case _:
            raise ReplaySourceError(f"{file}: must be named .jsonl, .jsonl.gz or .parquet")
