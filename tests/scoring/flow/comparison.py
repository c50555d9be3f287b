"""Emitted and stored rows, compared with the truth of the log."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.events import OfPartition
from schemas.scores import SCORE_EVENT, ClockAdvanced
from schemas.topics import position
from services.runtime.kafka import Reader, read_to_end
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.layout import PartitionWatermark, facts_bytes
from services.scoring.domain.memory import trimmed
from services.scoring.domain.partition import Emission
from services.scoring.domain.serialization import score_event
from services.scoring.flow.decoding import Refusal, event_of
from services.scoring.flow.log_reading import FullLog, Stored, full_log, stored
from tests.scoring.flow.harness import Scoring

Scores = dict[str, Any]
"""{as_of: the emitted score}, as JSON."""


@dataclass(frozen=True)
class Found:
    """`relationships` and `rows` were compared and are equal; `stale` ones wait for a heal, their rows were not."""

    relationships: int
    rows: int
    stale: frozenset[str]


def compare(scoring: Scoring) -> Found:
    """Assert that states, rows and watermarks match an ordered reading of the log."""
    histories, kept = compare_states(scoring)
    stale = frozenset(kept.stale)
    emitted = emitted_rows(scoring)
    log = full_log(scoring.settings, scoring.topics, kept.watermarks)
    rows = 0
    for name in sorted(histories.keys() - stale):
        true = _true(name, histories[name], log, kept)
        assert emitted.get(name, {}) == true, _first_difference(name, emitted.get(name, {}), true)
        rows += len(true)
    assert not emitted.keys() - histories.keys(), "rows of relationships that are not on the log"
    return Found(len(histories), rows, stale)


def compare_states(scoring: Scoring) -> tuple[dict[str, FullHistory], Stored]:
    """Assert that states and watermarks match an ordered reading of the log; returns both."""
    histories, ends = _log(scoring)
    kept = stored(scoring.settings, scoring.topics)
    assert {number: mark.offset + 1 for number, mark in kept.watermarks.items()} == ends, (
        "a partition is not at its end"
    )
    _compare_states(histories, kept)
    return histories, kept


def _log(scoring: Scoring) -> tuple[dict[str, FullHistory], dict[int, int]]:
    """The facts of each relationship on the log, and the ends of the partitions."""
    histories: dict[str, FullHistory] = defaultdict(FullHistory)
    ends: dict[int, int] = {}
    for record in read_to_end(scoring.settings, [scoring.topics.events]):
        ends[record.partition] = record.offset + 1
        event = event_of(record.value)
        if not isinstance(event, Refusal | OfPartition):
            histories[event.partitionkey].add(event, position(scoring.topics.epoch, record.offset))
    return {name: history for name, history in histories.items() if history.facts}, ends


def _compare_states(histories: Mapping[str, FullHistory], kept: Stored) -> None:
    assert kept.states.keys() == histories.keys(), "the relationships are not those of the log"
    for name, history in histories.items():
        expected = facts_bytes(trimmed(history.facts))
        assert facts_bytes(kept.states[name].facts) == expected, f"the facts of {name} are not those of the log"


def emitted_rows(scoring: Scoring) -> dict[str, Scores]:
    """What a sink holds: of each instant the greatest position, of equal ones the last, and deletions applied."""
    newest: dict[tuple[str, str], Any] = {}
    for record in read_to_end(scoring.settings, [*scoring.told_before, scoring.topics.scores]):
        event = SCORE_EVENT.validate_json(record.value or b"")
        if isinstance(event, ClockAdvanced):
            continue
        data = json.loads(record.value or b"")["data"]
        place = event.partitionkey, data["as_of"]
        if place not in newest or data["position"] >= newest[place]["position"]:
            newest[place] = data
    rows: dict[str, Scores] = defaultdict(dict)
    for (name, as_of), data in newest.items():
        if not data["deleted"]:
            rows[name][as_of] = data["score"]
    return rows


def _true(name: str, history: FullHistory, log: FullLog, kept: Stored) -> Scores:
    rows = ScoreHistory(history.facts, log.profiles_of(name, history.program)).rows(-1, kept.clock_of[name])
    emissions = [Emission(name, history.program, at, 0, row, changed=True, trigger=None) for at, row in rows.items()]
    emitted = [json.loads(score_event(emission))["data"] for emission in emissions]
    return {data["as_of"]: data["score"] for data in emitted}


def _first_difference(name: str, emitted: Scores, true: Scores) -> str:
    at = min(at for at in emitted.keys() | true.keys() if emitted.get(at) != true.get(at))
    return f"{name} at {at}: told {emitted.get(at)}, true {true.get(at)}"


def committed(scoring: Scoring) -> dict[int, int]:
    """The group's offsets, by partition."""
    reader = Reader(scoring.settings, scoring.topics.group)
    try:
        partitions = reader.assign([scoring.topics.events])
        found = {partition.number: reader.committed(partition) for partition in partitions}
    finally:
        reader.close()
    return {number: offset.offset for number, offset in found.items() if offset is not None}


def watermarks(scoring: Scoring) -> Mapping[int, PartitionWatermark]:
    return stored(scoring.settings, scoring.topics).watermarks
