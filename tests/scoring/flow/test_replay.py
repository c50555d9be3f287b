"""All rows computed afresh beside live scoring, on the real broker and engine."""

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.local.clickhouse import LocalClickHouse
from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import read_to_end
from services.scoring.flow.heal import HealEnvironment, Progress, heal
from services.scoring.flow.replay.replay import (
    Computed,
    Effort,
    Replayed,
    ReplayOrigin,
    Wish,
    origin,
    rehearsal_of_file,
    rehearse,
    replay,
)
from services.scoring.flow.replay.shadow import Changes, UnusableShadowError
from services.scoring.flow.replay.source import ReplaySourceError
from services.scoring.flow.replay.work import Task
from services.warehouse.flow.everything import recompute_everything
from tests.receiver import eventually
from tests.scoring.flow.harness import Scoring
from tests.scoring.flow.long_log import end_of, keyed, long_log
from tests.scoring.flow.test_drills import stops_well
from tests.scoring.flow.test_heal import applied, said, stale, with_late_facts
from tests.scoring.flow.with_warehouse import storing, table_of, truth_of

WITHOUT_TRIGGER = """* EXCEPT (
    event_id, mode, kind, recorded_at, version, position, log_offset, inserted_at,
    trigger_source, trigger_id, trigger_type, trigger_time, trigger_recorded
)"""


@pytest.fixture
def place(scoring: Scoring, migrated_clickhouse: LocalClickHouse) -> Iterator[HealEnvironment]:
    with storing(scoring, migrated_clickhouse) as found:
        yield found


def test_rows_are_replaced_by_those_of_the_log_and_what_is_derived_follows(
    scoring: Scoring, place: HealEnvironment
) -> None:
    was_stale = applied(scoring, place, with_late_facts(long_log(41, 16), 10))
    before = table_of(place)
    spoil(place, "ALTER TABLE mentoring.score_history DELETE WHERE relationship_id = 'x3' SETTINGS mutations_sync = 2")

    found = replayed(place, origin(place, "kafka"))

    assert found.computed is not None
    assert (found.computed.skipped, found.computed.worked.refused) == (0, 0)
    true = truth_of(place)
    assert table_of(place) == true
    assert found.changes.equal + found.changes.changed + found.changes.new == sum(map(len, true.values()))
    assert found.changes.new >= len(before["t/x3"])
    assert found.changes.changed > 0
    assert tables(place) == ["score_history"]
    assert newest(place) == {name: max(rows) for name, rows in true.items()}
    assert stale(place) == was_stale != []
    assert heal(place, (), said).left == []
    assert table_of(place) == true


def test_a_replayed_row_has_the_columns_of_the_live_one(scoring: Scoring, place: HealEnvironment) -> None:
    assert applied(scoring, place, long_log(42, 12)) == []
    table_of(place)
    live = rows(place)

    found = replayed(place, origin(place, "kafka"), keep=True)

    assert rows(place) == live
    assert found.changes == Changes(equal=len(live))
    assert found.kept is not None
    assert tables(place) == sorted(["score_history", found.kept.removeprefix("mentoring.")])


def test_what_live_scoring_tells_meanwhile_is_followed(scoring: Scoring, place: HealEnvironment) -> None:
    events = long_log(43, 20)
    service = scoring.start()
    with scoring.feeding(keyed(events), 10, 0.3):
        eventually(lambda: service.said("run_applied") > 3, what="the first runs")
        replayed(place, origin(place, "kafka"))
    scoring.reach(end_of(events))
    scoring.await_clock(end_of(events))
    stops_well(service)
    assert heal(place, (), said).left == []

    assert table_of(place) == truth_of(place)


def test_cut_off_anywhere_the_next_replay_goes_on(
    scoring: Scoring, place: HealEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.scoring.flow.replay.replay.TOGETHER", 3)
    monkeypatch.setattr("services.scoring.flow.replay.replay.RECORDS_AT_ONCE", 60)
    applied(scoring, place, with_late_facts(long_log(44, 8), 8))
    before = table_of(place)

    for stage in ("computing", "following live scoring"):
        with pytest.raises(KeyboardInterrupt):
            replayed(place, origin(place, "kafka"), progress=CutOff(stage, 2 if stage == "computing" else 0))
        assert table_of(place) == before
    with pytest.raises(KeyboardInterrupt):
        replayed(place, origin(place, "kafka"), progress=CutOff("comparing", 0))
    assert table_of(place) == truth_of(place)
    last = replayed(place, origin(place, "kafka"))

    assert last.computed is None
    assert last.changes.changed > 0
    assert tables(place) == ["score_history"]
    assert table_of(place) == truth_of(place)
    assert replayed(place, origin(place, "kafka")).changes == Changes(equal=sum(map(len, truth_of(place).values())))


def test_a_shadow_of_another_replay_is_only_dropped_when_asked(
    scoring: Scoring, place: HealEnvironment, tmp_path: Path
) -> None:
    applied(scoring, place, long_log(45, 4))
    with pytest.raises(KeyboardInterrupt):
        replayed(place, origin(place, "kafka"), progress=CutOff("following live scoring", 0))

    with pytest.raises(UnusableShadowError, match=r"begun by another replay .*kafka.*--restart"):
        replayed(place, origin(place, str(dumped(place, tmp_path))))

    assert replayed(place, origin(place, str(dumped(place, tmp_path))), restart=True).changes.changed == 0
    assert table_of(place) == truth_of(place)


def test_every_source_gives_the_rows_of_the_log(scoring: Scoring, place: HealEnvironment, tmp_path: Path) -> None:
    applied(scoring, place, long_log(46, 8))
    expected = rehearsed(origin(place, "kafka"))

    for file in (dumped(place, tmp_path), bare(place, tmp_path)):
        by_file = rehearsed(rehearsal_of_file(str(file)))
        assert by_file.hash == expected.hash, file
    replayed(place, origin(place, str(dumped(place, tmp_path))))

    assert expected.worked.rows == sum(map(len, truth_of(place).values()))
    assert table_of(place) == truth_of(place)


def test_all_cores_compute_what_one_computes(scoring: Scoring, place: HealEnvironment) -> None:
    applied(scoring, place, long_log(47, 8))
    found = origin(place, "kafka")

    alone = rehearsed(found)
    together = rehearse(task(found), found.source, Effort(2, said))

    assert together.hash == alone.hash
    assert together.worked == alone.worked


def test_a_file_without_offsets_takes_no_tables_place(scoring: Scoring, place: HealEnvironment, tmp_path: Path) -> None:
    applied(scoring, place, long_log(48, 2))
    bare, placed = tmp_path / "log.jsonl", tmp_path / "some.jsonl"
    bare.write_bytes(b"\n".join(value for _, value in keyed(long_log(48, 2))))
    placed.write_text(json.dumps({"key": None, "value": "", "partition": 0, "offset": 0}))

    with pytest.raises(ReplaySourceError, match=r"no partition and offset.*only --dry-run"):
        origin(place, str(bare))
    with pytest.raises(ReplaySourceError, match=r"has nothing of the partitions \[1, 2, 3\]"):
        origin(place, str(placed))


def test_a_record_of_a_file_that_is_broken_is_named(tmp_path: Path) -> None:
    def refused(text: str, name: str = "log.jsonl") -> str:
        file = tmp_path / name
        file.write_text(text)
        with pytest.raises(ReplaySourceError) as problem:
            rehearsal_of_file(str(file))
        return str(problem.value).removeprefix(str(file))

    assert refused("\n{broken").startswith(": line 2: is no JSON: ")
    assert refused("\n" + '{"a":' * 100_000).startswith(": line 2: is no JSON: ")
    assert (
        refused('{"value": {}, "partition": true, "offset": 0}')
        == ": line 1: partition and offset must be whole numbers"
    )
    assert refused("[]") == ": line 1: must be an object"
    assert refused('{"type": "mentoring.session.held.v1"}').startswith(": line 1: has no partitionkey")
    assert refused('{"key": 3, "value": {}}') == ": line 1: key: must be text"
    assert refused('{"key": "t/r", "value": {}, "partition": -1}').startswith(": line 1: partition and offset must be")
    assert refused('{"key": "t/r", "value": {"recordedtime": "soon"}}').startswith(": record 1: recordedtime: ")
    assert refused('{"key": "t/r", "value": {}, "partition": 2, "offset": 7}') == (
        ": record 1: partition 2 begins at offset 7"
    )
    assert refused("") == ": there is nothing in it"
    assert refused("", "log.csv") == ": must be named .jsonl or .jsonl.gz"
    assert "cannot be read" in refused("no gzip", "log.jsonl.gz")
    with pytest.raises(ReplaySourceError, match="there is no such file; else say kafka"):
        rehearsal_of_file("kafak")


def test_what_is_no_event_is_counted(tmp_path: Path) -> None:
    [(key, value)] = keyed(long_log(49, 1)[:1])
    file = tmp_path / "log.jsonl"
    lines = [(key, value), (b"t/other", value), (key, b'{"specversion": "1.0"}')]
    file.write_text("".join(json.dumps({"key": k.decode(), "value": v.decode()}) + "\n" for k, v in lines))

    found = rehearsed(rehearsal_of_file(str(file)))

    assert (found.worked.records, found.worked.refused, found.worked.relationships) == (3, 2, 2)


class CutOff:
    """A person loses patience at the nth word on a stage."""

    def __init__(self, stage: str, after: int) -> None:
        self._stage, self._left = stage, after

    def __call__(self, doing: str, done: int, of: int) -> None:
        said(doing, done, of)
        self._left -= doing == self._stage
        if self._left < 0:
            raise KeyboardInterrupt


def task(found: ReplayOrigin) -> Task:
    return Task(found.source.upto, found.programmes, None)


def rehearsed(found: ReplayOrigin) -> Computed:
    return rehearse(task(found), found.source, Effort(1, said))


def replayed(
    place: HealEnvironment, found: ReplayOrigin, progress: Progress = said, *, keep: bool = False, restart: bool = False
) -> Replayed:
    wish = Wish(lambda: recomputed(place), keep=keep, restart=restart)
    return replay(place, replace(task(found), warehouse=place.settings), found.source, Effort(1, progress), wish)


def recomputed(place: HealEnvironment) -> None:
    with closing(ClickHouse(place.settings)) as clickhouse:
        recompute_everything(clickhouse, lambda _: None)


def ask(place: HealEnvironment, sql: str) -> list[tuple[Any, ...]]:
    with closing(ClickHouse(place.settings)) as clickhouse:
        return clickhouse.query(sql)


def spoil(place: HealEnvironment, sql: str) -> None:
    with closing(ClickHouse(place.settings)) as clickhouse:
        clickhouse.command(sql)


def rows(place: HealEnvironment) -> list[tuple[Any, ...]]:
    """Whole rows of the table, but for who computed them and by what they were brought about."""
    return ask(place, f"SELECT {WITHOUT_TRIGGER} FROM mentoring.score_history FINAL ORDER BY ALL")


def tables(place: HealEnvironment) -> list[str]:
    found = ask(
        place, "SELECT name FROM system.tables WHERE database = 'mentoring' AND startsWith(name, 'score_history')"
    )
    return sorted(name for (name,) in found)


def newest(place: HealEnvironment) -> dict[str, int]:
    found = ask(
        place,
        "SELECT concat(tenant_id, '/', relationship_id), toUnixTimestamp64Micro(as_of) "
        "FROM mentoring.relationship_state FINAL",
    )
    return dict(found)


def dumped(place: HealEnvironment, folder: Path) -> Path:
    """The log as records with their places."""
    file = folder / "dump.jsonl"
    with file.open("w") as out:
        for record in read_to_end(place.settings, [place.names.events]):
            key, value = (record.key or b"").decode() or None, json.loads(record.value or b"")
            named = {"key": key, "value": value, "partition": record.partition, "offset": record.offset}
            out.write(json.dumps(named) + "\n")
    return file


def bare(place: HealEnvironment, folder: Path) -> Path:
    """The log as events alone."""
    file = folder / "events.jsonl.gz"
    with gzip.open(file, "wb") as zipped:
        zipped.write(b"\n".join(record.value or b"" for record in read_to_end(place.settings, [place.names.events])))
    return file
