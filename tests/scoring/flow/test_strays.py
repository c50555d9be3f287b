"""Records of the log on a partition that does not match their key: no reader takes them for a history."""

from collections.abc import Sequence

import pytest

from schemas.events import OfRelationship, to_json
from services.runtime.kafka import Partition, Producer, partition_of, read_partition, read_to_end
from services.scoring.flow.heal import HealEnvironment, histories_of_log
from services.scoring.flow.histories import log_events
from services.scoring.flow.log_reading import full_log, stored
from services.scoring.flow.repartition.plan import Repartitioning
from services.scoring.flow.repartition.repartition import repartition
from services.scoring.flow.replay.source import KafkaSource, SourcePart
from tests.scoring.building import held, started
from tests.scoring.flow import test_repartition
from tests.scoring.flow.harness import PARTITIONS, Scoring
from tests.scoring.flow.long_log import end_of, keyed
from tests.scoring.flow.test_drills import stops_well
from tests.scoring.flow.test_explain import of, read
from tests.scoring.flow.test_repartition import NEW_PARTITIONS, quiet

MINE, OTHER = "t/birch", "t/maple"
STORY = (started(0.5, 7), held(1.5))
LIES = [event.model_copy(update={"id": f"stray-{event.id}"}) for event in (held(3.5), held(4.5))]
growth = test_repartition.growth


@pytest.fixture
def with_strays(scoring: Scoring) -> Scoring:
    """The story of two pairs, and foreign records beside it: under the right key on another partition, and under
    another key."""
    scoring.feed(keyed([*of(MINE, STORY), *of(OTHER, STORY)]))
    elsewhere, under_another = of(MINE, LIES)
    producer = Producer(scoring.settings)
    for number in range(PARTITIONS):
        if number != home_partition(MINE):
            producer.send(scoring.topics.events, MINE.encode(), to_json(elsewhere), partition=number).get(60)
    producer.send(scoring.topics.events, OTHER.encode(), to_json(under_another)).get(60)
    producer.send(scoring.topics.events, None, to_json(under_another), partition=home_partition(MINE)).get(60)
    producer.close()
    return scoring


def home_partition(name: str) -> int:
    return partition_of(name.encode(), PARTITIONS)


def applied(scoring: Scoring) -> None:
    scoring.reach(end_of(STORY))
    service = scoring.start()
    scoring.await_clock(end_of(STORY))
    stops_well(service)


def ids(events: Sequence[OfRelationship]) -> list[str]:
    return [event.id for event in events]


def test_scoring_puts_them_aside_once_and_applies_none(with_strays: Scoring) -> None:
    applied(with_strays)

    rejected = [dict(r.headers) for r in read_to_end(with_strays.settings, [with_strays.topics.rejected])]
    assert [headers["reason"] for headers in rejected] == [b"misplaced"] * (PARTITIONS + 1)
    assert sorted(headers["path"] for headers in rejected) == [b"key"] * 2 + [b"partition"] * (PARTITIONS - 1)
    states = stored(with_strays.settings, with_strays.topics).states
    assert states.keys() == {MINE, OTHER}
    assert {len(state.facts) for state in states.values()} == {len(STORY)}


def test_no_reader_of_the_log_takes_them_for_a_history(with_strays: Scoring) -> None:
    applied(with_strays)
    settings, topics = with_strays.settings, with_strays.topics
    stored_now = stored(settings, topics)

    verified = full_log(settings, topics, stored_now.watermarks).histories
    healed = histories_of_log(HealEnvironment(settings, topics), stored_now, [MINE], lambda _: None)
    replayed = list(KafkaSource(settings, topics, stored_now).records(SourcePart(0, 1), lambda _: None))
    story = read(with_strays, MINE)
    backtested = [one.event for one in log_events(settings, topics) if one.event.id.startswith("stray")]

    assert {name: len(history.facts) for name, history in verified.items()} == {MINE: len(STORY), OTHER: len(STORY)}
    assert len(healed[MINE].facts) == len(STORY)
    assert {one.partition for one in replayed if one.relationship == MINE} == {home_partition(MINE)}
    assert ids([event for _, event in story.events]) == ids(of(MINE, STORY))
    assert backtested == []


def test_a_log_with_strays_grows_and_they_stay_strays(with_strays: Scoring, growth: Repartitioning) -> None:
    applied(with_strays)

    grown = repartition(with_strays.settings, growth, NEW_PARTITIONS, quiet)

    topics = growth.new.topics
    assert grown.relationships == 2
    assert {len(state.facts) for state in stored(with_strays.settings, topics).states.values()} == {len(STORY)}
    for number in range(NEW_PARTITIONS):
        for record in read_partition(with_strays.settings, Partition(topics.events, number)):
            if record.key == MINE.encode() and b"stray" in (record.value or b""):
                assert number != partition_of(record.key, NEW_PARTITIONS)
