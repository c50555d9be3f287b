"""Histories for backtests: from a file, or from the log."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from schemas.events import MentoringEvent, OfPartition
from schemas.primitives import to_micros
from services.runtime.kafka import partition_count, read_to_end
from services.runtime.settings import Settings
from services.scoring.domain.backtesting.pairs import PairHistories, histories_of
from services.scoring.domain.bounds import NONE
from services.scoring.domain.facts import Fact, Key, facts_of, merge_into
from services.scoring.flow.contacts_csv import csv_events
from services.scoring.flow.history_file import HistoryError, jsonl_events, kind_of
from services.scoring.flow.log_reading import LoggedEvent, events_of
from services.scoring.topics import Topics


def file_events(file: Path) -> Iterator[LoggedEvent]:
    """Raises HistoryError for a file of another kind, and while it is read."""
    readers: Mapping[str, Callable[[Path], Iterator[MentoringEvent]]] = {".csv": csv_events, ".jsonl": jsonl_events}
    read = readers.get(kind_of(file))
    if read is None:
        raise HistoryError(f"{file}: must be named .csv, .csv.gz, .jsonl or .jsonl.gz")
    yield from (LoggedEvent(0, number, event) for number, event in enumerate(read(file)))


def log_events(settings: Settings, names: Topics) -> Iterator[LoggedEvent]:
    """All of them. Raises KafkaError."""
    yield from events_of(read_to_end(settings, [names.events]), names, partition_count(settings, names.events))


def read_histories(events: Iterable[LoggedEvent], program: str | None) -> PairHistories:
    """Of the relationships of one programme, or of all. The history ends with the time of the last event of any kind.
    Raises HistoryError where nobody was ever in contact."""
    facts: dict[str, dict[Key, Fact]] = defaultdict(dict)
    programs: set[str] = set()
    end = NONE
    for _, position, event in events:
        end = max(end, to_micros(event.time))
        if isinstance(event, OfPartition):
            continue
        programs.add(event.program)
        if program in {None, event.program}:
            merge_into(facts[event.partitionkey], facts_of(event, position))
    histories = histories_of(facts, end)
    if histories is None:
        others = f"; there are the programmes {', '.join(sorted(programs))}" if program and programs else ""
        raise HistoryError(f"no relationship was ever in contact{others}")
    return histories
