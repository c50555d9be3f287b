"""Which instants have a row: facts, midnights, crossings, bookings, pauses; none after the end."""

import pytest

from schemas.programs import Profile, Weights
from services.scoring.domain.bounds import NONE
from services.scoring.domain.crossings import Instant
from services.scoring.domain.history import WINDOW, ScoreHistory
from services.scoring.domain.profiles import DEFAULT, Profiles
from tests.scoring.building import (
    at,
    booked,
    cancelled,
    ended,
    facts,
    goal_set,
    held,
    instants,
    message,
    micros,
    paused,
    resumed,
    retraction,
    row,
    started,
)


def test_a_relationship_has_a_row_at_its_facts_and_at_every_midnight() -> None:
    assert instants(3, started(0.5), held(1.25)) == {
        0.5: ("relationship.started",),
        1: ("midnight",),
        1.25: ("session.held",),
        2: ("midnight",),
        3: ("midnight",),
    }


def test_several_causes_of_one_instant_are_one_row() -> None:
    assert instants(1, started(1), held(1)) == {1: ("relationship.started", "session.held", "midnight")}


def test_silence_crosses_each_watched_level_once_at_a_whole_second() -> None:
    found = instants(120, started(0, 7), held(0.3))
    crossed = {cause: day for day, causes in found.items() for cause in causes if cause.startswith("crossing")}

    assert set(crossed) == {
        *(f"crossing.health.{level}" for level in (75, 50, 40, 25)),
        *(f"crossing.risk.{level}" for level in (0.55, 0.7)),
    }
    for day in crossed.values():
        assert round(day * 86_400, 6) == round(day * 86_400)


def test_the_row_of_a_crossing_is_at_the_level_and_the_second_before_is_not() -> None:
    events = [started(0, 7), held(0.3)]
    history = ScoreHistory(facts(*events), DEFAULT)
    at = next(at for at, found in history.rows(-1, micros(60)).items() if "crossing.health.50" in found.causes)

    there = history.rows(at - 1, at)[at].evaluation.health
    before = ScoreHistory(facts(*events, message((at - micros(0)) / 86_400e6 - 1 / 86_400, "mentor")), DEFAULT)
    second_before = before.score(at - 1_000_001)

    assert there <= 50_000_000
    assert second_before is not None
    assert second_before.health > 50_000_000


def test_what_is_found_does_not_depend_on_where_the_search_begins() -> None:
    events = [started(0, 7), held(0.300001), paused(9.1, until=10.7), held(20.2)]
    history = ScoreHistory(facts(*events), DEFAULT)
    full = history.rows(-1, micros(80))

    for day in range(0, 700, 7):
        low, high = micros(day / 10) + 123_457, micros(day / 10 + 9)
        assert history.rows(low, high) == {at: found for at, found in full.items() if low < at <= high}
        newest = max((at for at in full if at <= high), default=None)
        assert history.newest(high) == newest
        due, following = history.due(low), min((at for at in full if at > low), default=None)
        assert following is None or (due is not None and low < due <= following)


def test_no_midnights_while_paused_but_a_row_where_the_pause_begins_and_ends() -> None:
    found = instants(8, started(0.5), paused(1.5, begin=2.5, until=6.25))

    assert found[2.5] == ("pause.boundary",)
    assert found[6.25] == ("pause.boundary",)
    assert [day for day in (3.0, 4.0, 5.0, 6.0) if day in found] == []
    assert found[7.0] == ("midnight",)
    assert row(4, started(0.5), paused(1.5, begin=2.5, until=6.25)).status == "paused"


def test_a_resume_without_a_name_closes_every_pause() -> None:
    both = [started(0), paused(1, name="p"), paused(2, name="q")]

    assert row(5, *both, resumed(3)).status == "active"
    assert row(5, *both, resumed(3, "p")).status == "paused"


def test_a_pause_without_end_is_due_only_when_a_fact_comes() -> None:
    history = ScoreHistory(facts(started(0), paused(1)), DEFAULT)

    assert history.due(micros(2)) is None


def test_a_row_stands_where_a_booked_session_begins_unless_it_was_cancelled() -> None:
    assert instants(4, started(0), booked(1, "s", 2.5))[2.5] == ("booking.starts",)
    assert 2.5 not in instants(4, started(0), booked(1, "s", 2.5), cancelled(2, "s"))


def test_nothing_follows_the_end() -> None:
    found = instants(9, started(0.5), held(1.5), ended(2.5))

    assert max(found) == 2.5
    assert row(9, started(0.5), ended(2.5)).status == "ended"
    assert ScoreHistory(facts(started(0.5), ended(2.5)), DEFAULT).due(micros(3)) is None


def test_a_retracted_fact_keeps_its_instant_and_says_so() -> None:
    session = held(1.5)

    found = instants(2, started(0.5), session, retraction(1.7, session))

    assert found[1.5] == ("event.retracted",)
    assert row(2, started(0.5), session, retraction(1.7, session)).last_contact is None


def test_when_everything_is_retracted_no_row_is_left() -> None:
    start = started(0.5)

    assert instants(3, start, retraction(1, start)) == {}
    assert ScoreHistory(facts(start, retraction(1, start)), DEFAULT).newest(micros(3)) is None


def test_where_the_first_fact_is_retracted_the_oldest_selected_one_is_the_start() -> None:
    first = message(0.5, "mentor")

    assert row(4, first, held(2), retraction(3, first, "mentor")).started == micros(2)


def test_without_facts_there_is_nothing() -> None:
    history = ScoreHistory({}, DEFAULT)

    assert history.rows(-1, micros(9)) == {}
    assert list(history.instants(-1, micros(9))) == []
    assert history.newest(micros(9)) is None
    assert history.due(0) is None


def test_deltas_look_back_no_further_than_four_weeks() -> None:
    found = row(60, started(0.5), held(1), paused(2.5, until=59.5))

    assert found.before is not None
    assert found.before.at == micros(59.5)
    boundary = row(59.5, started(0.5), held(1), paused(2.5, until=59.5))
    assert boundary.before is not None
    assert boundary.before.at == micros(31.5)


def test_the_trend_falls_when_health_does_and_is_flat_for_a_first_row() -> None:
    assert row(0.5, started(0.5)).trend == 0
    assert row(60, started(0, 7), held(0)).trend < 0


def test_a_row_stands_where_another_version_of_the_profile_takes_effect() -> None:
    later = Profile(version="later", effective_from=at(5.5), weights=Weights(rhythm=100))
    history = ScoreHistory(facts(started(0.5), held(1)), Profiles((Profile(version="first"), later)))

    found = {at: row for at, row in history.rows(-1, micros(7)).items() if "profile.changed" in row.causes}

    assert [*found] == [micros(5.5)]
    assert found[micros(5.5)].profile == "later"
    assert history.rows(micros(5) - 1, micros(5))[micros(5)].profile == "first"
    assert history.due(micros(5.25)) == micros(5.5)


def test_a_row_names_the_sources_of_all_that_it_rests_on() -> None:
    calendar = {"source": "/calendar"}
    meeting, goal = held(2).model_copy(update=calendar), goal_set(3).model_copy(update={"source": "/goals"})

    assert row(4, started(0.5), meeting, goal).sources == ("/calendar", "/goals", "/s")
    assert row(4, started(0.5), meeting, retraction(3, meeting)).sources == ("/s",)
    assert row(2.5, started(0.5), meeting, goal).sources == ("/calendar", "/s")


def test_the_first_fact_is_a_source_however_much_came_since() -> None:
    first = message(0.5, "mentor").model_copy(update={"source": "/first"})
    later = [message(1 + n / 100, "mentor") for n in range(30)]

    assert row(4, first, *later).sources == ("/first", "/s")
    assert row(4, first, *later, retraction(3, first, "mentor")).sources == ("/s",)


def test_a_history_of_other_facts_inherits_nothing_that_they_contradict() -> None:
    events = [started(0.5), held(1), held(5)]
    history, known = ScoreHistory(facts(*events), DEFAULT), facts(*events[:1], *events[2:])
    full = history.rows(-1, micros(9))

    assert (
        history.with_facts(known, micros(5)).rows(-1, micros(9))
        == ScoreHistory(known, DEFAULT).rows(-1, micros(9))
        != full
    )


def test_a_long_history_is_computed_window_by_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """All snapshots of 100,000 facts at once would take 400 MB more."""
    history = ScoreHistory(facts(started(0.5, 7), *(held(0.75 + 400 * day) for day in range(8))), DEFAULT)
    expected = [at for at, _, _ in history.instants(NONE, micros(3000.5))]
    asked: list[tuple[int, int]] = []
    instants = history.instants

    def noting(after: int, upto: int) -> list[Instant]:
        asked.append((after, upto))
        return instants(after, upto)

    monkeypatch.setattr(history, "instants", noting)

    rows = history.rows(NONE, micros(3000.5))

    assert list(rows) == expected
    assert len(rows) > 3000
    assert all(upto - max(after, micros(0.5) - 1) <= WINDOW for after, upto in asked)
