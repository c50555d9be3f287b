"""Every event and every cause has words that a coordinator understands."""

from pathlib import Path

import pytest

from schemas.events import EVENT_TYPES, MENTORING_EVENT, OfPartition, OfRelationship
from services.scoring.domain.explaining.known_history import NEVER_RECEIVED, RETRACTED_LATER, known_history
from services.scoring.domain.explaining.story import WORDS, short_type, story, words_of
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.profiles import DEFAULT
from tests.scoring.building import (
    KEY,
    booked,
    cancelled,
    feedback,
    goal_progressed,
    goal_set,
    held,
    message,
    micros,
    missed,
    paused,
    requested,
    retraction,
    started,
)

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"


def test_every_type_of_the_catalogue_has_words() -> None:
    of_relationships = {short_type(type_) for type_ in EVENT_TYPES} - {"clock.reached"}

    assert WORDS.keys() == of_relationships


@pytest.mark.parametrize("name", sorted(WORDS))
def test_the_words_of_every_golden_example_name_no_field_and_no_gap(name: str) -> None:
    event = MENTORING_EVENT.validate_json((EXAMPLES / f"{name}.v1.json").read_bytes())
    assert not isinstance(event, OfPartition)

    words = words_of(event)

    assert words
    assert "{" not in words
    assert "None" not in words


def test_details_are_told_where_they_are_known() -> None:
    assert words_of(held(1, minutes=45)) == "session held, 45 min"
    assert words_of(held(1, minutes=None)) == "session held"
    assert words_of(missed(1, "both")) == "session missed, absent: both"
    assert words_of(cancelled(1, "s", 2)) == "session cancelled 2 h ahead"
    assert words_of(booked(1, "s", 2.5)) == "session booked for 03 Jan 2024 12:00"
    assert words_of(message(1, "mentee")) == "message from the mentee"
    assert words_of(goal_progressed(1, 60)) == "goal g at 60 %"
    assert words_of(feedback(1, "mentor", 3)) == "mentor rated the session 3 of 5"
    assert words_of(requested(1)) == "support requested (conflict, immediate)"
    assert words_of(paused(1, until=9)) == "paused (leave) until 10 Jan 2024"


def test_what_only_time_brought_about_says_for_how_long_nothing_happened() -> None:
    texts = change_words(70, started(0.5, 7), held(1.25))

    assert "no contact for 11 days: health falls to 75" in texts
    assert any(words.startswith("no contact for ") and words.endswith(": risk rises to 0.55") for words in texts)


def test_on_the_day_of_a_contact_nobody_is_silent() -> None:
    assert change_words(2, started(0.5), held(1.25))[-1] == "time passes"


def test_a_pause_begins_and_ends_and_no_day_of_it_is_told() -> None:
    assert change_words(8, started(0.5), paused(1.5, begin=2, until=7))[-3:] == [
        "a pause begins or ends",
        "a pause begins or ends",
        "no contact since the start, 7 days",
    ]


def test_before_any_contact_silence_counts_from_the_start() -> None:
    assert change_words(5, started(0.5))[-1] == "no contact since the start, 4 days"


def test_a_booked_session_that_begins_and_a_pause_say_so() -> None:
    texts = change_words(9, started(0.5), booked(1.5, "s", 2.5), paused(3.5, begin=4.5, until=6.5))

    assert "a booked session was to begin" in texts
    assert texts.count("a pause begins or ends") == 2


def test_goals_that_stand_still_say_so() -> None:
    assert "the open goals count as stalled" in change_words(90, started(0.5), goal_set(1.5))


def test_a_retracted_event_stays_explained() -> None:
    session = held(1.5)

    assert f"session held, 60 min{RETRACTED_LATER}" in change_words(3, started(0.5), session, retraction(2.5, session))
    assert NEVER_RECEIVED in change_words(3, started(0.5), retraction(2.5, session))


def change_words(days: float, *events: OfRelationship) -> list[str]:
    known = known_history(KEY, list(enumerate(events)), None)
    rows = ScoreHistory(known.facts, DEFAULT).rows(-1, micros(days))
    return ["; ".join(change.words) for change in story(rows, known.words())]
