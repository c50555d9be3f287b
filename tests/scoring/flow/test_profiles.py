"""Profiles change while the service runs, dies, or is away: rows are those of the profiles that the log has, or their
relationship is stale."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from schemas.events import to_json
from schemas.primitives import to_rfc3339
from schemas.programs import Profile, Weights
from services.runtime.kafka import Producer
from services.scoring.domain.changelog import ChangelogEntry, programme_entry
from services.scoring.domain.profiles import AppliedProfiles, Profiles
from services.scoring.domain.timeline import PROFILE_CHANGED
from services.scoring.flow.log_reading import stored
from tests.receiver import eventually
from tests.scoring.building import profile_set
from tests.scoring.flow.comparison import compare, emitted_rows
from tests.scoring.flow.harness import PARTITIONS, Scoring, Service
from tests.scoring.flow.long_log import end_of, keyed, long_log

FIRST = Profile(version="default-1")
OWN = Profile(version="own", weights=Weights(growth=10, expectations=5), cadence_days=21)


def test_a_version_that_begins_in_mid_log_changes_rows_from_then_on(scoring: Scoring) -> None:
    events = long_log(3, 20)
    records, half = keyed(events), len(events) // 2
    now = events[half].recordedtime
    begins = now + timedelta(hours=1)
    service = scoring.start()
    scoring.feed(records[:half])
    positions = describe(scoring, now, FIRST, OWN.model_copy(update={"effective_from": begins}))
    scoring.feed(records[half:])
    scoring.reach(end_of(events))
    scoring.await_clock(end_of(events))
    service.end()

    found = compare(scoring)
    assert found.rows > 500
    assert service.output("profiles_applied") == PARTITIONS
    assert not positions & {state.stale_position for state in stored(scoring.settings, scoring.topics).states.values()}
    at = to_rfc3339(begins)
    assert {score["profile"] for as_of, score in emitted(scoring) if as_of < at} == {"default-1"}
    assert {score["profile"] for as_of, score in emitted(scoring) if as_of >= at} == {"own"}
    assert [score for as_of, score in emitted(scoring) if as_of == at and PROFILE_CHANGED in score["causes"]]
    assert {"growth", "expectations"} <= {part["name"] for _, score in emitted(scoring) for part in score["parts"]}


def test_a_first_description_makes_what_is_out_stale_even_if_the_worker_dies_of_it(scoring: Scoring) -> None:
    events = long_log(5, 12)
    scoring.feed(keyed(events))
    scoring.reach(end_of(events))
    service = scoring.start()
    scoring.await_clock(end_of(events))
    service.end()
    assert compare(scoring).rows > 200

    service = scoring.start(DRILL_FAULT="exit:1")
    eventually(lambda: service.owns(*range(PARTITIONS)), what="all partitions")
    describe(scoring, end_of(events), OWN)
    assert service.process.wait(90) == 9
    assert remembered(scoring) == 0
    service = scoring.start()
    eventually(lambda: remembered(scoring) == PARTITIONS, what="the profile on all partitions")
    scoring.await_clock(end_of(events))

    found = compare(scoring)
    assert len(found.stale) == found.relationships
    eventually(lambda: stale(service) == found.relationships, what="the metric")
    service.end()


def test_what_an_older_version_was_told_is_known_and_nothing_is_stale_when_the_log_says_the_same(
    scoring: Scoring,
) -> None:
    events = long_log(6, 12)
    write(scoring, programme_entry(1, AppliedProfiles("t", "p", Profiles((OWN,)), 0)))
    service = scoring.start()
    eventually(lambda: service.owns(*range(PARTITIONS)), what="all partitions")
    assert service.output("profiles_not_on_log") == PARTITIONS
    scoring.feed(keyed(events))
    scoring.reach(end_of(events))
    scoring.await_clock(end_of(events))

    positions = describe(scoring, end_of(events), OWN)
    eventually(lambda: service.output("profiles_applied") == PARTITIONS, what="the profile on all partitions")
    service.end()

    found = compare(scoring)
    assert {score["profile"] for _, score in emitted(scoring)} == {"own"}
    assert not positions & {state.stale_position for state in stored(scoring.settings, scoring.topics).states.values()}
    assert len(found.stale) < found.relationships
    service = scoring.start()
    eventually(lambda: service.owns(*range(PARTITIONS)), what="all partitions")
    assert service.output("profiles_not_on_log") == 0
    service.end()


def describe(scoring: Scoring, recorded: datetime, *profiles: Profile) -> set[int]:
    """The programme of all random logs; where on the partitions it is."""
    producer = Producer(scoring.settings)
    value = to_json(profile_set(recorded, *profiles))
    sent = [producer.send(scoring.topics.events, None, value, partition=n) for n in range(PARTITIONS)]
    found = {one.get(60).offset for one in sent}
    producer.close()
    return found


def write(scoring: Scoring, entry: ChangelogEntry) -> None:
    """As the older layout has it, on every partition of the changelog."""
    assert entry.value is not None
    producer = Producer(scoring.settings)
    for number in range(PARTITIONS):
        producer.send(scoring.topics.state, entry.key, bytes([1]) + entry.value[1:], partition=number).get(60)
    producer.close()


def remembered(scoring: Scoring) -> int:
    """On how many partitions the programme's profile is its own."""
    stored_now = stored(scoring.settings, scoring.topics).programmes.values()
    return sum(programmes.of("t/x", "p") == Profiles((OWN,)) for programmes in stored_now)


def stale(service: Service) -> float:
    return sum(values.get("stale", 0) for values in service.gauges().values())


def emitted(scoring: Scoring) -> Iterator[tuple[str, Any]]:
    """(as_of, score) of every row."""
    return ((as_of, score) for rows in emitted_rows(scoring).values() for as_of, score in rows.items())
