"""Emitted events are valid under the shared schema, and equal the stored rows in the comparison."""

import pytest

from schemas.events import ClockReached, OfRelationship
from schemas.payloads import KnownUntil
from schemas.scores import SCORE_EVENT, ScoreRow
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.layout import PartitionWatermark
from services.scoring.domain.partition import Emission, ScoredPartition
from services.scoring.domain.profiles import DEFAULT, Programmes
from services.scoring.domain.serialization import clock_event, event_id, score_event
from services.scoring.domain.verification import comparable
from tests.scoring.building import (
    KEY,
    apply,
    at,
    facts,
    held,
    micros,
    missed,
    paused,
    requested,
    resolved,
    retraction,
    started,
)
from tests.scoring.readers import verdict


def _emitted(*events: OfRelationship) -> list[Emission]:
    partition = ScoredPartition(Programmes(), {}, PartitionWatermark())
    return [one for offset, event in enumerate(events) for one in apply(partition, event, KEY, offset)]


def test_every_told_row_is_valid_and_loses_nothing() -> None:
    for emission in _emitted(started(0, 7), held(1), paused(3, until=9), missed(12), held(40)):
        event = SCORE_EVENT.validate_json(score_event(emission))
        data = event.data
        assert isinstance(data, ScoreRow)
        assert data.score is not None
        assert emission.row is not None
        assert round(data.score.health * 1e6) == emission.row.evaluation.health
        assert sum(round(part.contribution * 1e6) for part in data.score.parts) == emission.row.evaluation.health


def test_the_last_row_of_an_event_is_the_newest_and_carries_its_trigger() -> None:
    sent = _emitted(started(0), held(5.5))

    assert [one.changed for one in sent] == [True] * len(sent)
    assert [one.trigger is None for one in sent[1:-1]] == [True] * 5
    event = SCORE_EVENT.validate_json(score_event(sent[-1]))
    assert isinstance(event.data, ScoreRow)
    assert event.data.trigger is not None
    assert event.data.trigger.type == "mentoring.session.held.v1"


def test_the_newest_row_of_a_request_for_support_says_which_and_who_asked_but_not_what_for() -> None:
    asked, over = requested(3), resolved(9)
    of_mentee = asked.model_copy(update={"data": asked.data.model_copy(update={"by": "mentee"})})
    sent = [score_event(one) for one in _emitted(started(0), of_mentee, resolved(5), requested(7, "r"), over, held(10))]

    found = [event.data.call for event in map(SCORE_EVENT.validate_json, sent) if isinstance(event.data, ScoreRow)]
    assert [(one.request_id, one.by) for one in found if one is not None] == [
        ("q", "mentee"),
        ("q", None),
        ("r", None),
        ("q", None),
    ]
    assert not any(b"conflict" in value for value in sent)


def test_a_late_event_corrects_the_past_oldest_first_and_ends_with_the_newest_row() -> None:
    sent = _emitted(started(0), held(9.5), held(4.5))[-7:]

    assert [one.changed for one in sent] == [False] * 6 + [True]
    assert [one.as_of for one in sent] == sorted(one.as_of for one in sent)


def test_a_retraction_deletes_the_rows_that_only_the_retracted_start_gave() -> None:
    start = started(0)

    sent = _emitted(start, retraction(2.5, start))
    deleted = [one for one in sent if one.row is None]

    assert [one.as_of for one in deleted] == [micros(0), micros(1), micros(2)]
    assert deleted[-1].changed, "where no row is left the last deletion is the newest word"
    assert SCORE_EVENT.validate_json(score_event(deleted[0])).data.deleted  # type: ignore[union-attr]


def test_a_repeat_has_the_same_id_and_another_mode_another() -> None:
    sent = _emitted(started(0), held(1))

    assert len({event_id(one, "live") for one in sent}) == len(sent)
    assert event_id(sent[0], "live") == event_id(sent[0], "live") != event_id(sent[0], "heal")


def test_the_clock_event_is_valid() -> None:
    assert SCORE_EVENT.validate_json(clock_event(3, micros(4))).data.clock == at(4)  # type: ignore[union-attr]


def test_the_clock_of_the_log_brings_due_rows_without_touching_a_relationship() -> None:
    partition = ScoredPartition(Programmes(), {}, PartitionWatermark())
    apply(partition, started(0), KEY, 0)
    reached = ClockReached(
        type="mentoring.clock.reached.v1",
        source="/s",
        id="c",
        time=at(2),
        recordedtime=at(2),
        tenant="t",
        data=KnownUntil(time=at(2)),
    )

    sent = apply(partition, reached, "", 1)

    assert [one.as_of for one in sent] == [micros(1), micros(2)]
    assert partition.states[KEY].position == 0


def test_a_copy_of_a_known_fact_far_below_the_floor_makes_nothing_stale() -> None:
    partition = ScoredPartition(Programmes(), {}, PartitionWatermark())
    for offset, event in enumerate([started(0), held(1), held(90), held(1)]):
        apply(partition, event, KEY, offset)

    assert not partition.states[KEY].is_stale(partition.clock)


def test_a_new_fact_far_below_the_floor_makes_its_relationship_stale() -> None:
    partition = ScoredPartition(Programmes(), {}, PartitionWatermark())
    for offset, event in enumerate([started(0), held(90), held(1)]):
        apply(partition, event, KEY, offset)

    assert partition.states[KEY].is_stale(partition.clock)


def test_a_verdict_is_equal_only_if_every_row_is() -> None:
    rows = {
        at_: comparable(found)
        for at_, found in ScoreHistory(facts(started(0), held(1)), DEFAULT).rows(-1, micros(3)).items()
    }
    changed = {**rows, micros(2): rows[micros(2)]._replace(health=1, causes=("midnight", "x"))}

    assert verdict(KEY, rows, rows).equal
    assert verdict(KEY, rows, rows).first_difference is None
    assert "health is 1 in the table" in (verdict(KEY, rows, changed).first_difference or "")
    assert not verdict(KEY, rows, changed).equal


@pytest.mark.parametrize(("missing", "words"), [(True, "missing from the table"), (False, "not part of the truth")])
def test_a_verdict_names_a_row_that_only_one_side_has(missing: bool, words: str) -> None:  # noqa: FBT001
    rows = {
        at_: comparable(found) for at_, found in ScoreHistory(facts(started(0)), DEFAULT).rows(-1, micros(2)).items()
    }
    fewer = {at_: texts for at_, texts in rows.items() if at_ != micros(1)}

    found = verdict(KEY, rows, fewer) if missing else verdict(KEY, fewer, rows)

    assert words in (found.first_difference or "")
    assert "t/r at 2024-01-02T00:00:00" in (found.first_difference or "")
