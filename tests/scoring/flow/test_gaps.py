"""A log truncated beyond what was applied, on the real broker: the partition stands and reports it, until an operator
accepts the gap."""

import time
from collections.abc import Sequence

import pytest
from kafka import KafkaAdminClient, TopicPartition

from schemas.events import OfRelationship
from services.runtime.kafka import open_reader
from services.scoring.domain.bounds import NONE
from services.scoring.domain.maintenance import GapAccepted, GapRefused
from services.scoring.flow.gaps import NoSuchPartitionError, accept_gap
from tests.receiver import eventually
from tests.scoring.flow.comparison import watermarks
from tests.scoring.flow.harness import PARTITIONS, Scoring, Service
from tests.scoring.flow.long_log import end_of, keyed, long_log
from tests.scoring.flow.test_drills import stops_well


def test_a_gap_stops_its_partition_only_and_is_told_until_it_is_accepted(scoring: Scoring) -> None:
    events = long_log(23, 60)
    cut, begin, lost = cut_off(scoring, events)
    service = scoring.start()
    eventually(lambda: others_are_done(service, cut, events), 90, "the other partitions")

    assert service.output("log_gap") == 1
    assert not service.is_ready()
    eventually(lambda: service.gauges()[cut].get("log_gap") == lost, what="the gauge")
    assert service.gauges()[cut]["lag"] > lost
    assert not any(values.get("log_gap") for number, values in service.gauges().items() if number != cut)

    assert isinstance(accept_gap(scoring.settings, scoring.topics, cut, begin - 1), GapRefused)
    assert isinstance(accept_gap(scoring.settings, scoring.topics, cut, begin + 1), GapRefused)
    accepted = accept_gap(scoring.settings, scoring.topics, cut, begin)

    assert isinstance(accepted, GapAccepted)
    assert accepted.lost == lost
    scoring.await_clock(end_of(events), 60)
    assert service.is_ready()
    assert service.output("log_gap_accepted") == 1
    assert service.gauges()[cut]["log_gap"] == 0
    assert isinstance(accept_gap(scoring.settings, scoring.topics, cut, begin), GapRefused)
    service.end()


def test_what_was_accepted_while_no_worker_ran_holds_from_the_next_start(scoring: Scoring) -> None:
    events = long_log(24, 60)
    cut, begin, _ = cut_off(scoring, events)

    assert isinstance(accept_gap(scoring.settings, scoring.topics, cut, begin), GapAccepted)

    service = scoring.start()
    scoring.await_clock(end_of(events), 90)
    stops_well(service)
    again = scoring.start()
    eventually(again.is_ready)
    stops_well(again)


def test_a_log_that_is_cut_off_while_it_is_read_is_a_gap_as_well(scoring: Scoring) -> None:
    events = long_log(25, 60)
    service = scoring.start()
    scoring.feed(keyed(events)[:50])
    eventually(lambda: len(service.gauges()) == PARTITIONS and all(v["lag"] == 0 for v in service.gauges().values()))
    service.freeze()
    # The fetch that is under way brings some of these, and only these: a busy broker answers it a moment after it has
    # acknowledged them.
    scoring.feed(keyed(events)[50:100])
    time.sleep(2)
    scoring.feed(keyed(events)[100:])
    scoring.reach(end_of(events))
    cut = min(watermarks(scoring))
    begin = ends(scoring)[cut] - 3
    truncate(scoring, cut, begin)
    service.thaw()

    eventually(lambda: service.output("log_gap") == 1, what="the gap")
    assert isinstance(accept_gap(scoring.settings, scoring.topics, cut, begin), GapAccepted)

    scoring.await_clock(end_of(events), 60)
    assert service.is_ready()
    service.end()


def test_a_partition_that_the_log_does_not_have_cannot_be_accepted(scoring: Scoring) -> None:
    with pytest.raises(NoSuchPartitionError, match="has 4 partitions"):
        accept_gap(scoring.settings, scoring.topics, PARTITIONS, 0)


def cut_off(scoring: Scoring, events: Sequence[OfRelationship]) -> tuple[int, int, int]:
    """A log whose partition `cut` lost records that were not yet applied: (cut, where it begins, how many)."""
    scoring.feed(keyed(events))
    scoring.reach(end_of(events))
    assert scoring.met("raise:5")[1] == 1
    before = watermarks(scoring)
    # Of a partition of which nothing was applied yet nothing is lost: it begins where the log does.
    cut = min(number for number, watermark in before.items() if watermark.offset > NONE)
    begin = before[cut].offset + 10
    truncate(scoring, cut, begin)
    return cut, begin, 9


def truncate(scoring: Scoring, number: int, before: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=scoring.settings.kafka)
    admin.delete_records({TopicPartition(scoring.topics.events, number): before})
    admin.close()


def ends(scoring: Scoring) -> dict[int, int]:
    with open_reader(scoring.settings, [scoring.topics.events]) as reader:
        return {place.number: end for place, end in reader.end_offsets(sorted(reader.assignment())).items()}


def others_are_done(service: Service, cut: int, events: Sequence[OfRelationship]) -> bool:
    reached = {number: end_of(events).timestamp() for number in range(PARTITIONS) if number != cut}
    return {n: v.get("clock_seconds") for n, v in service.gauges().items() if n != cut} == reached
