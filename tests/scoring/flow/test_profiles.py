"""Programmes change while the service runs, dies, or is away: rows are those of the profiles that the topic has now, or
their relationship is stale."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from schemas.primitives import to_rfc3339
from schemas.programs import Profile, Programme, Weights
from services.runtime.kafka import Producer
from services.scoring.domain.bounds import NONE
from services.scoring.domain.causes import PROFILE_CHANGED
from services.scoring.flow.log_reading import stored
from services.scoring.flow.programmes import UnreadableProgrammeError, programmes
from tests.receiver import eventually
from tests.scoring.flow.comparison import compare, told_rows
from tests.scoring.flow.harness import PARTITIONS, Scoring, Service
from tests.scoring.flow.long_log import end_of, keyed, long_log

FIRST = Profile(version="default-1")
OWN = Profile(version="own", weights=Weights(growth=10, expectations=5), cadence_days=21)


def test_a_version_that_begins_in_mid_log_changes_rows_from_then_on(scoring: Scoring) -> None:
    events = long_log(3, 20)
    records, half = keyed(events), len(events) // 2
    begins = events[half].recordedtime + timedelta(hours=1)
    service = scoring.start()
    scoring.feed(records[:half])

    describe(scoring, FIRST, OWN.model_copy(update={"effective_from": begins}))
    eventually(lambda: service.said("programme_told") == PARTITIONS, what="the programme on all partitions")
    scoring.feed(records[half:])
    scoring.reach(end_of(events))
    scoring.await_clock(end_of(events))
    service.end()

    found = compare(scoring)
    assert found.rows > 500
    assert {state.stale_programme for state in stored(scoring.settings, scoring.names).states.values()} == {NONE}
    at = to_rfc3339(begins)
    assert {score["profile"] for as_of, score in told(scoring) if as_of < at} == {"default-1"}
    assert {score["profile"] for as_of, score in told(scoring) if as_of >= at} == {"own"}
    assert [score for as_of, score in told(scoring) if as_of == at and PROFILE_CHANGED in score["causes"]]
    assert {"growth", "expectations"} <= {part["name"] for _, score in told(scoring) for part in score["parts"]}


def test_a_first_record_makes_what_is_out_stale_even_if_the_worker_dies_of_it(scoring: Scoring) -> None:
    events = long_log(5, 12)
    scoring.feed(keyed(events))
    scoring.reach(end_of(events))
    service = scoring.start()
    scoring.await_clock(end_of(events))
    service.end()
    assert compare(scoring).rows > 200

    service = scoring.start(DRILL_FAULT="exit:1")
    eventually(lambda: service.owns(*range(PARTITIONS)), what="all partitions")
    describe(scoring, OWN)
    assert service.process.wait(30) == 9
    assert remembered(scoring) == 0
    service = scoring.start()
    eventually(lambda: remembered(scoring) == PARTITIONS, what="the programme on all partitions")

    found = compare(scoring)
    assert len(found.stale) == found.relationships
    eventually(lambda: stale(service) == found.relationships, what="the metric")
    service.end()


def test_what_changed_while_no_worker_ran_is_found_out_and_what_cannot_be_read_changes_nothing(
    scoring: Scoring,
) -> None:
    events = long_log(6, 12)
    scoring.feed(keyed(events))
    scoring.reach(end_of(events))
    describe(scoring, OWN)
    service = scoring.start()
    scoring.await_clock(end_of(events))
    assert not any(state.stale_programme >= 0 for state in stored(scoring.settings, scoring.names).states.values())
    service.end()
    compare(scoring)

    write(scoring, b"t/p", b'{"id": "p", "tenant": "t", "profiles": []}')
    with pytest.raises(
        UnreadableProgrammeError, match="offset 1: programme t/p cannot be read: profiles: Tuple should"
    ):
        programmes(scoring.settings, scoring.names)
    service = scoring.start()
    eventually(lambda: service.owns(*range(PARTITIONS)), what="all partitions")
    assert ['"name": "t/p"' in line for line in service.errors()] == [True]
    assert stale(service) == len(unhealed(scoring))
    service.end()

    describe(scoring, FIRST)
    service = scoring.start()
    scoring.await_clock(end_of(events))
    eventually(lambda: remembered(scoring) == PARTITIONS, what="the programme on all partitions")
    found = compare(scoring)
    assert len(found.stale) == found.relationships
    service.end()


def describe(scoring: Scoring, *profiles: Profile) -> None:
    """The programme of all random logs."""
    programme = Programme(
        id="p", tenant="t", profiles=profiles, recordedtime=datetime.fromisoformat("2024-01-01T00:00Z")
    )
    write(scoring, b"t/p", programme.model_dump_json().encode())


def write(scoring: Scoring, key: bytes, value: bytes) -> None:
    producer = Producer(scoring.settings)
    producer.send(scoring.names.programs, key, value).get(10)
    producer.close()


def remembered(scoring: Scoring) -> int:
    """On how many partitions the programme's last record is remembered."""
    known = stored(scoring.settings, scoring.names).programmes.values()
    last = programmes(scoring.settings, scoring.names).offset_of("t/x", "p")
    return sum(programme.offset_of("t/x", "p") == last for programme in known)


def unhealed(scoring: Scoring) -> list[str]:
    return stored(scoring.settings, scoring.names).stale


def stale(service: Service) -> float:
    return sum(values.get("stale", 0) for values in service.gauges().values())


def told(scoring: Scoring) -> Iterator[tuple[str, Any]]:
    """(as_of, score) of every row."""
    return ((as_of, score) for rows in told_rows(scoring).values() for as_of, score in rows.items())
