"""The log grows from 4 to 8 partitions, on the real broker: nothing is lost, nothing emitted twice, and every
relationship's events keep their order."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.runtime.kafka import (
    Committed,
    KafkaError,
    Producer,
    Reader,
    create_topics,
    partition_of,
    read_to_end,
    records,
)
from services.scoring.flow.repartition import plan
from services.scoring.flow.repartition.plan import Advance, Epoch, NotRepartitionedError, Repartitioning, StartProgress
from services.scoring.flow.repartition.repartition import Repartitioned, abandon, is_repartitioned, repartition
from tests.scoring.flow.comparison import compare
from tests.scoring.flow.harness import Scoring
from tests.scoring.flow.long_log import Keyed, end_of, keyed, long_log, moved
from tests.scoring.flow.run_service import topics
from tests.scoring.flow.test_drills import POISON, stops_well, with_poison

NEW_PARTITIONS = 8
LATER = timedelta(days=400)


@pytest.fixture
def growth(scoring: Scoring) -> Repartitioning:
    prefix = scoring.topics.group
    old, new = (Epoch(topics(prefix, epoch), f"{prefix}.alert-state.{epoch}") for epoch in (0, 1))
    create_topics(scoring.settings, {old.alert_state: old.options(4, 1)[old.alert_state]})
    return Repartitioning(old, new, {f"{prefix}-sink": (old.topics.events, old.topics.scores)})


@pytest.fixture
def grown(scoring: Scoring) -> Iterator[Scoring]:
    """The same scoring on the next epoch of the log."""
    found = replace(
        scoring,
        topics=topics(scoring.topics.group, 1),
        services=[],
        partitions=NEW_PARTITIONS,
        told_before=(scoring.topics.scores,),
        folder=scoring.folder / "grown",
    )
    found.folder.mkdir()
    yield found
    found.stop()


CLOCK = b"\0clock"


class CutOffError(Exception):
    """As good as a kill -9: nothing after it is done."""


def cut_off(step: str, after: int) -> StartProgress:
    def begun(what: str, _: int) -> Advance:
        left = [after if what == step else 10**9]

        def passed(count: int) -> None:
            left[0] -= count
            if left[0] < 0:
                raise CutOffError

        return passed

    return begun


def quiet(_: str, __: int) -> Advance:
    return lambda _: None


@pytest.mark.parametrize("random_logs", [25, pytest.param(250, marks=pytest.mark.drill)])
def test_a_grown_log_gives_the_same_history_and_goes_on(
    scoring: Scoring, growth: Repartitioning, grown: Scoring, random_logs: int
) -> None:
    events = long_log(31, random_logs)
    scored(scoring, with_poison(keyed(events)), end_of(events))
    before = compare(scoring)
    remember(scoring, growth)

    done = repartition(scoring.settings, growth, NEW_PARTITIONS, quiet)

    assert done == Repartitioned(records=len(events) + len(POISON) + NEW_PARTITIONS, relationships=before.relationships)
    assert emitted_count(scoring, growth.new) == 0
    assert by_key(scoring, growth.new.topics.events) == by_key(scoring, growth.old.topics.events)
    assert compare(grown) == before
    assert remembered(scoring, growth.new.alert_state) == {
        **{(number, CLOCK): b"%d" % (number % 4) for number in range(NEW_PARTITIONS)},
        (partition_of(b"t/x1", NEW_PARTITIONS), b"t/x1"): b"watched",
    }
    with pytest.raises(KafkaError):
        scoring.feed(keyed(events)[:1])

    more = moved(events, LATER)
    scored(grown, keyed(more), end_of(more))

    after = compare(grown)
    assert after.rows > 1.5 * before.rows
    assert emitted_count(scoring, growth.new) > 0


def test_cut_off_anywhere_it_goes_on_where_it_was(
    scoring: Scoring, growth: Repartitioning, grown: Scoring, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = long_log(32, 60)
    scored(scoring, keyed(events), end_of(events))
    monkeypatch.setattr(records, "MAX_IN_FLIGHT", 50)

    for step, after in (("copying the log", 1), ("copying the log", 200), ("rebuilding the states", 150)):
        with pytest.raises(CutOffError):
            repartition(scoring.settings, growth, NEW_PARTITIONS, cut_off(step, after))
        assert not is_repartitioned(scoring.settings, growth)
    service = grown.start()
    assert service.process.wait(90) == 1, "an unfinished log must not be worked on"
    assert any("`rapport scoring repartition` has not finished" in line for line in service.errors())

    repartition(scoring.settings, growth, NEW_PARTITIONS, quiet)

    assert is_repartitioned(scoring.settings, growth)
    compare(grown)
    with pytest.raises(NotRepartitionedError, match="it has grown: set RAPPORT_LOG_EPOCH=1"):
        repartition(scoring.settings, growth, NEW_PARTITIONS, quiet)
    with pytest.raises(NotRepartitionedError, match="it is not given up"):
        abandon(scoring.settings, growth)


def test_it_does_not_grow_while_somebody_is_at_work_or_behind(
    scoring: Scoring, growth: Repartitioning, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = long_log(33, 10)
    scoring.feed(keyed(events))
    with pytest.raises(NotRepartitionedError, match="records that are not scored"):
        repartition(scoring.settings, growth, NEW_PARTITIONS, quiet)
    scoring.reach(end_of(events))
    service = scoring.start()
    scoring.await_clock(end_of(events))
    monkeypatch.setattr(plan, "SESSION_TIMEOUT", 5)
    with pytest.raises(NotRepartitionedError, match=f"{scoring.topics.group} is running"):
        repartition(scoring.settings, growth, NEW_PARTITIONS, quiet)
    stops_well(service)
    with pytest.raises(NotRepartitionedError, match="to a multiple of that: 8, 12, 16"):
        repartition(scoring.settings, growth, 6, quiet)
    read(scoring, growth, 1)
    with pytest.raises(NotRepartitionedError, match=r"-sink has \d+ records of"):
        repartition(scoring.settings, growth, NEW_PARTITIONS, quiet)

    scoring.feed(keyed(events)[:1])

    read(scoring, growth, None)
    with pytest.raises(NotRepartitionedError, match="has 1 records that are not scored"):
        repartition(scoring.settings, growth, NEW_PARTITIONS, quiet)


@pytest.mark.drill
def test_what_was_begun_can_be_given_up_and_begun_again(
    scoring: Scoring, growth: Repartitioning, grown: Scoring
) -> None:
    events = long_log(34, 20)
    scored(scoring, keyed(events), end_of(events))
    with pytest.raises(CutOffError):
        repartition(scoring.settings, growth, NEW_PARTITIONS, cut_off("copying the log", 100))
    stranger = Producer(scoring.settings)
    stranger.send(growth.new.topics.events, b"t/x0", b"from somebody else").get(60)
    stranger.close()
    with pytest.raises(NotRepartitionedError, match="is not what was copied: --abandon it"):
        repartition(scoring.settings, growth, NEW_PARTITIONS, quiet)

    assert set(abandon(scoring.settings, growth)) == set(growth.new.target_topics)

    scored(scoring, keyed(events)[:20], end_of(events) + timedelta(days=1))
    repartition(scoring.settings, growth, NEW_PARTITIONS, quiet)
    compare(grown)


def scored(scoring: Scoring, records: Sequence[Keyed], end: datetime) -> None:
    scoring.feed(records)
    scoring.reach(end)
    service = scoring.start()
    scoring.await_clock(end)
    stops_well(service)


def by_key(scoring: Scoring, topic: str) -> dict[bytes, list[tuple[bytes | None, int]]]:
    """The records of every relationship in the order of its partition."""
    found = defaultdict(list)
    for record in read_to_end(scoring.settings, [topic]):
        if record.key is not None:
            found[record.key].append((record.value, record.timestamp_ms))
    return found


def emitted_count(scoring: Scoring, epoch: Epoch) -> int:
    return len(list(read_to_end(scoring.settings, [epoch.topics.scores])))


def remember(scoring: Scoring, growth: Repartitioning) -> None:
    """What notify writes: of a relationship, and of each partition."""
    producer = Producer(scoring.settings)
    topic = growth.old.alert_state
    sent = [producer.send(topic, CLOCK, b"%d" % number, partition=number) for number in range(4)]
    sent.append(producer.send(topic, b"t/x1", b"watched", partition=partition_of(b"t/x1", 4)))
    for acknowledgement in sent:
        acknowledgement.get(60)
    producer.close()


def remembered(scoring: Scoring, topic: str) -> dict[tuple[int, bytes | None], bytes | None]:
    return {(r.partition, r.key): r.value for r in read_to_end(scoring.settings, [topic])}


def read(scoring: Scoring, growth: Repartitioning, count: int | None) -> None:
    """As a sink that has read so many records of each partition, or all."""
    ((group, topics),) = growth.readers.items()
    with closing(Reader(scoring.settings, group)) as reader:
        ends = reader.end_offsets(reader.assign(topics))
        reader.commit({place: Committed(end if count is None else min(count, end)) for place, end in ends.items()})
