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
    ReplayOptions,
    ReplayOrigin,
    dry_run,
    file_origin,
    origin,
    replay,
)
from services.scoring.flow.replay.shadow import Changes, UnusableShadowError
from services.scoring.flow.replay.source import ReplaySourceError
from services.scoring.flow.replay.work import Task
from services.warehouse.flow.recompute_all import recompute_all
from tests.receiver import eventually
from tests.scoring.flow.harness import Scoring
from tests.scoring.flow.long_log import end_of, keyed, long_log
from tests.scoring.flow.test_drills import stops_well
from tests.scoring.flow.test_heal import applied, output, stale, with_late_facts
from tests.scoring.flow.with_warehouse import storing, table_of, truth_of

WITHOUT_TRIGGER = """* EXCEPT (
    event_id, mode, kind, recorded_at, version, position, log_offset, inserted_at,
    trigger_source, trigger_id, trigger_type, trigger_time, trigger_recorded
)"""


@pytest.fixture
def environment(scoring: Scoring, migrated_clickhouse: LocalClickHouse) -> Iterator[HealEnvironment]:
    with storing(scoring, migrated_clickhouse) as found:
        yield found


def test_rows_are_replaced_by_those_of_the_log_and_what_is_derived_follows(
    scoring: Scoring, environment: HealEnvironment
) -> None:
    was_stale = applied(scoring, environment, with_late_facts(long_log(41, 16), 10))
    before = table_of(environment)
    spoil(
        environment,
        "ALTER TABLE mentoring.score_history DELETE WHERE relationship_id = 'x3' SETTINGS mutations_sync = 2",
    )

    found = replayed(environment, origin(environment, "kafka"))

    assert found.computed is not None
    assert (found.computed.skipped, found.computed.totals.refused) == (0, 0)
    true = truth_of(environment)
    assert table_of(environment) == true
    assert found.changes.equal + found.changes.changed + found.changes.new == sum(map(len, true.values()))
    assert found.changes.new >= len(before["t/x3"])
    assert found.changes.changed > 0
    assert tables(environment) == ["score_history"]
    assert newest(environment) == {name: max(rows) for name, rows in true.items()}
    assert stale(environment) == was_stale != []
    assert heal(environment, (), output).left == []
    assert table_of(environment) == true


def test_a_replayed_row_has_the_columns_of_the_live_one(scoring: Scoring, environment: HealEnvironment) -> None:
    assert applied(scoring, environment, long_log(42, 12)) == []
    table_of(environment)
    live = rows(environment)

    found = replayed(environment, origin(environment, "kafka"), keep=True)

    assert rows(environment) == live
    assert found.changes == Changes(equal=len(live))
    assert found.kept is not None
    assert tables(environment) == sorted(["score_history", found.kept.removeprefix("mentoring.")])


def test_what_live_scoring_tells_meanwhile_is_followed(scoring: Scoring, environment: HealEnvironment) -> None:
    events = long_log(43, 40)
    service = scoring.start()
    with scoring.feeding(keyed(events), 10, 0.3):
        eventually(lambda: service.output("run_applied") > 3, what="the first runs")
        replayed(environment, origin(environment, "kafka"))
    scoring.reach(end_of(events))
    scoring.await_clock(end_of(events))
    stops_well(service)
    assert heal(environment, (), output).left == []

    assert table_of(environment) == truth_of(environment)


def test_cut_off_anywhere_the_next_replay_goes_on(
    scoring: Scoring, environment: HealEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.scoring.flow.replay.replay.RELATIONSHIPS_PER_PORTION", 3)
    monkeypatch.setattr("services.scoring.flow.replay.replay.RECORDS_AT_ONCE", 60)
    applied(scoring, environment, with_late_facts(long_log(44, 8), 8))
    before = table_of(environment)

    for stage in ("computing", "following live scoring"):
        with pytest.raises(KeyboardInterrupt):
            replayed(
                environment, origin(environment, "kafka"), progress=CutOff(stage, 2 if stage == "computing" else 0)
            )
        assert table_of(environment) == before
    with pytest.raises(KeyboardInterrupt):
        replayed(environment, origin(environment, "kafka"), progress=CutOff("comparing", 0))
    assert table_of(environment) == truth_of(environment)
    last = replayed(environment, origin(environment, "kafka"))

    assert last.computed is None
    assert last.changes.changed > 0
    assert tables(environment) == ["score_history"]
    assert table_of(environment) == truth_of(environment)
    assert replayed(environment, origin(environment, "kafka")).changes == Changes(
        equal=sum(map(len, truth_of(environment).values()))
    )


def test_a_shadow_of_another_replay_is_only_dropped_when_asked(
    scoring: Scoring, environment: HealEnvironment, tmp_path: Path
) -> None:
    applied(scoring, environment, long_log(45, 4))
    with pytest.raises(KeyboardInterrupt):
        replayed(environment, origin(environment, "kafka"), progress=CutOff("following live scoring", 0))

    with pytest.raises(UnusableShadowError, match=r"begun by another replay .*kafka.*--restart"):
        replayed(environment, origin(environment, str(dump(environment, tmp_path))))

    assert (
        replayed(environment, origin(environment, str(dump(environment, tmp_path))), restart=True).changes.changed == 0
    )
    assert table_of(environment) == truth_of(environment)


def test_every_source_gives_the_rows_of_the_log(scoring: Scoring, environment: HealEnvironment, tmp_path: Path) -> None:
    applied(scoring, environment, long_log(46, 8))
    expected = rehearsed(origin(environment, "kafka"))

    for file in (dump(environment, tmp_path), bare(environment, tmp_path)):
        by_file = rehearsed(file_origin(str(file)))
        assert by_file.hash == expected.hash, file
    replayed(environment, origin(environment, str(dump(environment, tmp_path))))

    assert expected.totals.rows == sum(map(len, truth_of(environment).values()))
    assert table_of(environment) == truth_of(environment)


def test_all_cores_compute_what_one_computes(scoring: Scoring, environment: HealEnvironment) -> None:
    applied(scoring, environment, long_log(47, 8))
    found = origin(environment, "kafka")

    alone = rehearsed(found)
    together = dry_run(task(found), found.source, Effort(2, output))

    assert together.hash == alone.hash
    assert together.totals == alone.totals


def test_a_file_without_offsets_takes_no_tables_place(
    scoring: Scoring, environment: HealEnvironment, tmp_path: Path
) -> None:
    applied(scoring, environment, long_log(48, 2))
    bare, placed = tmp_path / "log.jsonl", tmp_path / "some.jsonl"
    bare.write_bytes(b"\n".join(value for _, value in keyed(long_log(48, 2))))
    placed.write_text(json.dumps({"key": None, "value": "", "partition": 0, "offset": 0}))

    with pytest.raises(ReplaySourceError, match=r"no partition and offset.*only --dry-run"):
        origin(environment, str(bare))
    with pytest.raises(ReplaySourceError, match=r"has nothing of the partitions \[1, 2, 3\]"):
        origin(environment, str(placed))


def test_a_record_of_a_file_that_is_broken_is_named(tmp_path: Path) -> None:
    def refused(text: str, name: str = "log.jsonl") -> str:
        file = tmp_path / name
        file.write_text(text)
        with pytest.raises(ReplaySourceError) as problem:
            file_origin(str(file))
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
        file_origin("kafak")


def test_what_is_no_event_is_counted(tmp_path: Path) -> None:
    [(key, value)] = keyed(long_log(49, 1)[:1])
    file = tmp_path / "log.jsonl"
    lines = [(key, value), (b"t/other", value), (key, b'{"specversion": "1.0"}')]
    file.write_text("".join(json.dumps({"key": k.decode(), "value": v.decode()}) + "\n" for k, v in lines))

    found = rehearsed(file_origin(str(file)))

    assert (found.totals.records, found.totals.refused, found.totals.relationships) == (3, 2, 2)


class CutOff:
    """A person loses patience at the nth word on a stage."""

    def __init__(self, stage: str, after: int) -> None:
        self._stage, self._left = stage, after

    def __call__(self, doing: str, done: int, of: int) -> None:
        output(doing, done, of)
        self._left -= doing == self._stage
        if self._left < 0:
            raise KeyboardInterrupt


def task(found: ReplayOrigin) -> Task:
    return Task(found.source.upto, found.programmes, None)


def rehearsed(found: ReplayOrigin) -> Computed:
    return dry_run(task(found), found.source, Effort(1, output))


def replayed(
    environment: HealEnvironment,
    found: ReplayOrigin,
    progress: Progress = output,
    *,
    keep: bool = False,
    restart: bool = False,
) -> Replayed:
    options = ReplayOptions(lambda: recomputed(environment), keep=keep, restart=restart)
    return replay(
        environment, replace(task(found), warehouse=environment.settings), found.source, Effort(1, progress), options
    )


def recomputed(environment: HealEnvironment) -> None:
    with closing(ClickHouse(environment.settings)) as clickhouse:
        recompute_all(clickhouse, lambda _: None)


def ask(environment: HealEnvironment, sql: str) -> list[tuple[Any, ...]]:
    with closing(ClickHouse(environment.settings)) as clickhouse:
        return clickhouse.query(sql)


def spoil(environment: HealEnvironment, sql: str) -> None:
    with closing(ClickHouse(environment.settings)) as clickhouse:
        clickhouse.command(sql)


def rows(environment: HealEnvironment) -> list[tuple[Any, ...]]:
    """Complete rows of the table, without their producer and trigger."""
    return ask(environment, f"SELECT {WITHOUT_TRIGGER} FROM mentoring.score_history FINAL ORDER BY ALL")


def tables(environment: HealEnvironment) -> list[str]:
    found = ask(
        environment, "SELECT name FROM system.tables WHERE database = 'mentoring' AND startsWith(name, 'score_history')"
    )
    return sorted(name for (name,) in found)


def newest(environment: HealEnvironment) -> dict[str, int]:
    found = ask(
        environment,
        "SELECT concat(tenant_id, '/', relationship_id), toUnixTimestamp64Micro(as_of) "
        "FROM mentoring.relationship_state FINAL",
    )
    return dict(found)


def dump(environment: HealEnvironment, folder: Path) -> Path:
    """The log as records with their places."""
    file = folder / "dump.jsonl"
    with file.open("w") as out:
        for record in read_to_end(environment.settings, [environment.topics.events]):
            key, value = (record.key or b"").decode() or None, json.loads(record.value or b"")
            named = {"key": key, "value": value, "partition": record.partition, "offset": record.offset}
            out.write(json.dumps(named) + "\n")
    return file


def bare(environment: HealEnvironment, folder: Path) -> Path:
    """The log as events alone."""
    file = folder / "events.jsonl.gz"
    with gzip.open(file, "wb") as zipped:
        zipped.write(
            b"\n".join(record.value or b"" for record in read_to_end(environment.settings, [environment.topics.events]))
        )
    return file
