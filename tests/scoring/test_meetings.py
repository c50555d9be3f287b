"""Meetings: one outcome each, however many tools report it, decided by the strongest evidence."""

import pytest

from schemas.events import OfRelationship
from tests.scoring.building import booked, cancelled, features, held, missed, moved, retraction, row, started, values
from tests.scoring.expected import near

START = started(0)


def outcomes(held: int = 0, missed: int = 0, cancelled: int = 0) -> object:
    """The reliability of so many."""
    return near((1.7 + held) / (2 + held + missed + 0.5 * cancelled))


def reliability(*events: OfRelationship, days: float = 40) -> float:
    return values(days, START, *events)["reliability"]


def test_reliability_looks_at_the_last_eight_meetings() -> None:
    late = [held(10 + day) for day in range(8)]

    assert reliability(missed(1), *late[:7]) == outcomes(held=7, missed=1)
    assert reliability(missed(1), *late) == outcomes(held=8)


def test_several_tools_telling_one_session_by_its_name_are_one_meeting() -> None:
    events = [held(1, "s", None), held(1.2, "s", None), held(3, "s", None)]

    assert reliability(*events) == outcomes(held=1)
    assert reliability(*events, held(4, "t", None)) == outcomes(held=2)


def test_a_session_without_a_name_that_others_know_joins_by_its_time() -> None:
    assert reliability(held(1, "a", 60), held(1.02, "b", 60)) == outcomes(held=1)
    assert reliability(held(1, "a", 60), held(1.05, "b", 60)) == outcomes(held=2)


def test_sessions_that_follow_each_other_directly_are_two() -> None:
    assert reliability(held(1, "a", 60), held(1 + 1 / 24, "b", 60)) == outcomes(held=2)


@pytest.mark.parametrize("name", "abcdefgh")
def test_sessions_that_begin_together_are_one_however_little_is_known_of_their_length(name: str) -> None:
    assert reliability(held(1, name, None), held(1, "y", None)) == outcomes(held=1)
    assert reliability(held(1, name, None), held(1, "y", 60)) == outcomes(held=1)
    ends_then = held(1 - 1 / 24, "x", 60)
    assert reliability(ends_then, held(1, name, None), held(1, "y", 60)) == outcomes(held=2)


def test_a_short_session_within_a_long_one_does_not_cut_it() -> None:
    assert reliability(held(1, "long", 300), held(1.02, "short", 10), held(1.15, "later", 10)) == outcomes(held=1)


def test_meetings_join_through_a_third() -> None:
    assert reliability(held(1, "a", 60), held(1.06, "b", 60), held(1.03, "c", 60)) == outcomes(held=1)
    assert reliability(held(1, "a", 60), held(9, "b", 60), held(9.01, "a", 60)) == outcomes(held=1)


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [("inferred", "self_reported"), ("self_reported", "calendar"), ("calendar", "admin"), ("admin", "observed")],
)
def test_the_stronger_evidence_decides(weaker: str, stronger: str) -> None:
    assert reliability(held(1, "s", evidence=weaker), missed(1.1, session="s", evidence=stronger)) == outcomes(missed=1)
    assert reliability(held(1, "s", evidence=stronger), missed(1.1, session="s", evidence=weaker)) == outcomes(held=1)


def test_of_equal_evidence_held_decides_before_missed_and_missed_before_cancelled() -> None:
    said = [cancelled(1, "s"), missed(1.1, session="s"), held(1.2, "s")]

    assert reliability(said[0]) == outcomes(cancelled=1)
    assert reliability(*said[:2]) == outcomes(missed=1)
    assert reliability(*said) == outcomes(held=1)


def test_a_retracted_word_decides_nothing() -> None:
    seen = held(1, "s", evidence="observed")
    events = [missed(1.1, session="s", evidence="calendar"), held(1.2, "s", evidence="inferred")]

    assert reliability(seen, *events) == outcomes(held=1)
    assert reliability(seen, *events, retraction(2, seen)) == outcomes(missed=1)


def test_two_words_on_a_session_are_one_meeting_also_where_the_one_between_them_is_retracted() -> None:
    between = held(1.2, "s", None)

    assert reliability(held(1, "s", None), between, held(3, "s", None), retraction(4, between)) == outcomes(held=1)


def test_a_missed_session_takes_the_time_it_was_booked_for() -> None:
    seen = held(1, "video", evidence="observed")

    assert reliability(booked(0.5, "s", 1), missed(1.2, session="s"), seen) == outcomes(held=1)
    assert reliability(missed(1.2, session="s"), seen) == outcomes(held=1, missed=1)
    assert reliability(booked(0.5, "s", 9), moved(0.6, "s", 1), missed(1.2, session="s"), seen) == outcomes(held=1)


def test_to_book_a_missed_session_anew_does_not_make_another_meeting_of_it() -> None:
    events = [booked(0.5, "s", 1), missed(1.2, session="s"), held(1, "video", evidence="observed")]

    assert reliability(*events, moved(2, "s", 9)) == outcomes(held=1)


def test_a_cancellation_that_is_replaced_within_ten_minutes_either_way_is_a_reschedule() -> None:
    minute = 1 / 24 / 60

    for apart in (-10.0, -1.0, 0.0, 10.0):
        assert reliability(cancelled(2, "a"), booked(2 + apart * minute, "b", 5)) == outcomes()
    for apart in (-10.5, 10.5):
        assert reliability(cancelled(2, "a"), booked(2 + apart * minute, "b", 5)) == outcomes(cancelled=1)


def test_only_another_session_that_stands_replaces_a_cancelled_one() -> None:
    other = booked(2, "b", 5)

    assert reliability(cancelled(2, "a"), booked(2, "a", 5)) == outcomes(cancelled=1)
    assert reliability(cancelled(2, "a"), other, retraction(3, other)) == outcomes(cancelled=1)
    assert reliability(cancelled(2, "a"), moved(2, "b", 5)) == outcomes(cancelled=1)


def test_rhythm_goes_on_from_a_held_session_older_than_all_outcomes_that_are_looked_at() -> None:
    absences = [missed(2 + n / 10) for n in range(30)]

    assert values(9, started(0, 7), held(1), *absences)["rhythm"] == near(2 ** (1 - 8 / 7))
    assert row(9, started(0, 7), held(1), *absences).last_contact == row(1.5, started(0), held(1)).last_contact


def test_confidence_counts_a_meeting_once() -> None:
    once = row(2, START, held(1, "s"), held(1.2, "t", evidence="observed"))
    twice = row(2, START, held(1, "s"), held(1.01, "s", evidence="observed"))

    assert twice.evaluation.confidence < once.evaluation.confidence


def test_the_next_sessions_are_those_booked_and_neither_superseded_nor_cancelled() -> None:
    ahead = [booked(1, "a", 9), booked(1, "b", 5), booked(1, "c", 7)]

    assert row(4, START, *ahead).next_session == row(4, START, booked(1, "b", 5)).next_session
    assert row(6, START, *ahead).next_session == row(6, START, booked(1, "c", 7)).next_session
    assert row(4, START, *ahead, cancelled(2, "b")).next_session == row(4, START, booked(1, "c", 7)).next_session
    assert (
        row(4, START, *ahead, moved(2, "b", 8), cancelled(3, "c")).next_session
        == row(4, START, moved(1, "b", 8)).next_session
    )
    taken_back = cancelled(2, "b")
    assert (
        row(4, START, *ahead, taken_back, retraction(3, taken_back)).next_session
        == row(4, START, ahead[1]).next_session
    )
    assert features(10, START, *ahead)["booked"] == 0


def test_a_retracted_booking_is_none_and_the_word_before_it_holds() -> None:
    change = moved(2, "a", 9)

    assert (
        row(4, START, booked(1, "a", 5), change, retraction(3, change)).next_session
        == row(4, START, booked(1, "a", 5)).next_session
    )
