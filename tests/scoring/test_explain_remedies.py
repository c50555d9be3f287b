"""What to do: good acts, tried as if they had just happened, and the one that answers the costliest cause."""

from schemas.events import OfRelationship, partition_key
from schemas.payloads import MessageSent
from schemas.programs import Profile, Weights
from services.scoring.domain.explaining.explanation import (
    BEST_TO_WORST,
    GOALS_TRIED,
    Act,
    Remedies,
    candidate_acts,
    remedies,
)
from services.scoring.domain.explaining.known_history import known_history
from services.scoring.domain.explaining.story import missing
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.profiles import DEFAULT, Profiles
from tests.scoring.building import (
    KEY,
    SIDES,
    feedback,
    fit,
    goal_achieved,
    goal_set,
    held,
    message,
    micros,
    missed,
    requested,
    resolved,
    retraction,
    scored,
    started,
)

EVERYTHING = Weights(growth=10, expectations=10)
LIVELY = tuple(held(1.5 + 3 * n) for n in range(6))


def test_one_session_lifts_a_silent_pair_and_says_to_which_health_and_band() -> None:
    found = tried(90, started(0.5, 7), held(1.5))

    assert found.first is not None
    assert found.first.steps == ("hold a session",)
    assert found.first.band == "thriving"
    assert found.first.health > 75_000_000


def test_the_result_of_an_act_is_what_the_score_says_when_it_really_happens() -> None:
    events = [started(0.5, 7), held(1.5)]
    first = tried(90, *events).first

    really = known_history(KEY, list(enumerate([*events, held(90, minutes=None)])), None)
    row = ScoreHistory(really.facts, DEFAULT).rows(micros(90) - 1, micros(90))[micros(90)]

    assert first is not None
    assert (first.health, first.band, first.risk) == (row.evaluation.health, row.evaluation.band, row.evaluation.risk)


def test_what_caps_the_band_is_what_lifts_it() -> None:
    found = tried(20, started(0.5), *LIVELY, requested(19.5, "q1"))

    assert found.first is not None
    assert found.first.steps == ("resolve support request q1",)
    assert found.first.band == "thriving"


def test_silence_is_answered_by_a_session_and_never_by_a_rating() -> None:
    rated = [feedback(2 + n, side, 5) for n in range(3) for side in SIDES]
    found = tried(90, started(0.5, 7), *LIVELY[:1], *rated)

    assert found.cause in {"silence", "rhythm"}
    assert found.first is not None
    assert found.first.steps == ("hold a session",)


def test_what_costs_most_is_answered_even_where_meeting_would_help_too() -> None:
    profiles = Profiles((Profile(version="v", weights=Weights(feedback=60)),))
    given = [
        started(0.5, 7),
        *(held(1.5 + 7 * n) for n in range(8)),
        *(feedback(50 + n, "mentee", 1) for n in range(4)),
    ]

    found = tried(60, *given, profiles=profiles)

    assert found.cause == "feedback"
    assert found.first is not None
    assert found.first.steps[0].startswith("a full rating from the ")


def test_an_act_that_would_lower_the_score_is_not_offered() -> None:
    """The side that wrote more would carry even more of the conversation."""
    alone = Weights(rhythm=0, reliability=0, goals=0, feedback=0, mutual=100, responsiveness=0, support=0)
    profiles = Profiles((Profile(version="v", weights=alone),))
    given = [started(0), *(message(day, "mentor") for day in (1, 2, 3)), message(4, "mentee")]

    assert ("a reply from the mentor",) in steps(acts(4.5, *given))
    offered = [trial.steps for trial in tried(4.5, *given, profiles=profiles).singles]
    assert ("book a session",) in offered
    assert ("a reply from the mentor",) not in offered


def test_a_booked_session_lowers_the_risk_and_leaves_health_alone() -> None:
    (booking,) = (one for one in tried(90, started(0.5, 7), held(1.5)).singles if one.steps == ("book a session",))

    assert booking.health == tried_health(90, started(0.5, 7), held(1.5))
    assert booking.risk < scored(90, started(0.5, 7), held(1.5)).risk


def test_where_one_act_is_not_enough_two_are_named() -> None:
    found = tried(70, started(0.5), *LIVELY, fit(19.5, "mentee", "not_good"))

    assert found.first is not None
    assert len(found.first.steps) == 2
    assert "settle the fit, which the mentee calls not good" in found.first.steps
    assert found.first.band == "thriving"
    assert all(trial.band not in {"thriving", "steady"} for trial in found.singles)


def test_where_not_even_two_are_enough_it_says_so_and_ranks_them_all_the_same() -> None:
    alone = Weights(rhythm=0, reliability=100, goals=0, feedback=0, mutual=0, responsiveness=0, support=0)
    profiles = Profiles((Profile(version="v", weights=alone),))

    found = tried(20, started(0.5), held(0.8), *(missed(1.5 + day, "both") for day in range(7)), profiles=profiles)

    assert found.first is not None
    assert found.first.steps == ("hold a session",)
    assert found.first.band == BEST_TO_WORST[-1] or found.first.health > 0
    assert found.singles[0] == found.first


def test_an_open_goal_that_is_achieved_lifts_as_much_as_it_really_would() -> None:
    events = [started(0.5), *LIVELY, goal_set(1, "g", 5)]
    achieved = next(trial for trial in tried(60, *events).singles if trial.steps == ("achieve goal g",))

    really = known_history(KEY, list(enumerate([*events, goal_achieved(60, "g")])), None)
    row = ScoreHistory(really.facts, DEFAULT).rows(micros(60) - 1, micros(60))[micros(60)]

    assert (achieved.health, achieved.band) == (row.evaluation.health, row.evaluation.band)


def test_single_acts_are_ranked_by_what_they_would_do() -> None:
    singles = tried(90, started(0.5, 7), held(1.5)).singles

    assert singles[0].steps == ("hold a session",)
    assert [trial.health for trial in singles] == sorted((trial.health for trial in singles), reverse=True)


def test_nothing_lifts_the_highest_band() -> None:
    found = tried(3, started(0.5), held(2.5))

    assert found == Remedies(None, reason="it is in the highest band")


def test_bands_are_ordered() -> None:
    assert BEST_TO_WORST == ("thriving", "steady", "strained", "critical")


def test_every_relationship_can_meet_be_rated_and_set_a_goal() -> None:
    assert steps(acts(9, started(0.5))) == [
        ("hold a session",),
        ("book a session",),
        ("a full rating from the mentor",),
        ("a full rating from the mentee",),
        ("set a SMART goal",),
        ("a well-being rating of 5 from the mentee",),
    ]


def test_acts_are_events_of_this_relationship_at_that_instant() -> None:
    for act in acts(9, started(0.5), weights=EVERYTHING):
        (event,) = act.events
        assert event.partitionkey == partition_key(event.tenant, event.subject) == KEY
        assert event.program == "p"
        assert (event.time - started(0).time).days == 9


def test_only_open_goals_can_be_achieved_the_newest_first() -> None:
    goals = [goal_set(day, f"g{day}") for day in range(1, 6)]

    found = steps(acts(9, started(0.5), *goals, goal_achieved(7, "g5"), retraction(8, goals[3], "g4")))

    assert [step for (step,) in found if step.startswith("achieve")] == [
        f"achieve goal {goal}" for goal in ("g3", "g2", "g1")
    ]
    assert GOALS_TRIED == 3


def test_only_an_unanswered_message_can_be_replied_to_by_the_other_side() -> None:
    asked, answer = message(2, "mentee"), message(3, "mentor", "mentee-2")

    replies = [act for act in acts(9, started(0.5), asked) if act.steps[0].startswith("a reply")]

    assert [act.steps for act in replies] == [("a reply from the mentor",)]
    data = replies[0].events[0].data
    assert isinstance(data, MessageSent)
    assert data.reply_to == asked.id
    assert ("a reply from the mentor",) not in steps(acts(9, started(0.5), asked, answer))
    assert ("a reply from the mentee",) in steps(acts(9, started(0.5), asked, answer))


def test_growth_and_expectations_are_tried_where_the_profile_weighs_them() -> None:
    names = {step for (step,) in steps(acts(9, started(0.5), weights=EVERYTHING))}

    assert {"agree on expectations", "prepare the mentor", "prepare the mentee"} <= names
    assert {"a reflection of the mentor", "a reflection of the mentee"} <= names


def test_what_caps_the_band_is_resolved_by_one_act_of_all_its_steps() -> None:
    caps = [requested(1, "q1"), requested(2, "q2"), requested(3, "q3", "normal"), resolved(4, "q2")]

    assert steps(acts(9, started(0.5), *caps, fit(5, "mentor", "not_good"), fit(6, "mentee", "good")))[-1] == (
        "resolve support request q1",
        "settle the fit, which the mentor calls not good",
    )


def tried(days: float, *events: OfRelationship, profiles: Profiles = DEFAULT) -> Remedies:
    known = known_history(KEY, list(enumerate(events)), None)
    history = ScoreHistory(known.facts, profiles)
    newest = history.newest(micros(days))
    assert newest is not None
    row = history.rows(newest - 1, newest)[newest]
    return remedies(
        known, profiles, row, micros(days), [lack.part for lack in missing(newest, row, known.last_held(newest))]
    )


def tried_health(days: float, *events: OfRelationship) -> int:
    return scored(days, *events).health


def acts(days: float, *events: OfRelationship, weights: Weights | None = None) -> list[Act]:
    return candidate_acts(known_history(KEY, list(enumerate(events)), None), micros(days), weights or Weights())


def steps(found: list[Act]) -> list[tuple[str, ...]]:
    return [act.steps for act in found]
