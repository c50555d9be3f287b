"""Goals: how lately anything changed, and how far they are."""

from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.profiles import DEFAULT
from tests.scoring.building import (
    facts,
    features,
    goal_abandoned,
    goal_achieved,
    goal_missed,
    goal_progressed,
    goal_revised,
    goal_set,
    instants,
    micros,
    paused,
    resumed,
    retraction,
    scored,
    started,
    values,
)
from tests.scoring.expected import fresh, near

START = started(0)


def test_without_any_word_on_a_goal_there_is_nothing_to_say_of_goals() -> None:
    assert "goals" not in values(9, START)


def test_a_new_goal_counts_by_its_smart_flags_and_in_full_where_nobody_told_them() -> None:
    assert values(1, START, goal_set(1))["goals"] == 1
    for flags, share in enumerate((0.6, 0.68, 0.76, 0.84, 0.92, 1.0)):
        assert values(1, START, goal_set(1, smart=flags))["goals"] == near(0.6 + 0.4 * share)


def test_a_goal_without_progress_ages_from_a_review_period_on() -> None:
    assert values(31, START, goal_set(1))["goals"] == 1
    assert values(61, START, goal_set(1))["goals"] == near(fresh(2))


def test_progress_holds_a_goal_up_when_it_ages_and_is_a_change() -> None:
    moved = [START, goal_set(1), goal_progressed(31, 70)]

    assert values(61, *moved)["goals"] == near(0.6 + 0.4 * 0.7)
    assert values(121, *moved)["goals"] == near(0.6 * fresh(3) + 0.4 * 0.7)
    assert values(121, *moved, goal_progressed(32, 10))["goals"] == near(0.6 * fresh(89 / 30) + 0.4 * fresh(4))


def test_an_achieved_goal_is_full_whatever_its_progress_and_a_missed_one_is_as_far_as_it_came() -> None:
    begun = [START, goal_set(1, smart=0), goal_progressed(2, 50)]

    assert values(3, *begun, goal_achieved(3))["goals"] == near(0.6 + 0.4 * 0.6)
    assert values(3, *begun, goal_missed(3))["goals"] == near(0.6 + 0.4 * 0.6 * 0.5)
    assert values(3, START, goal_set(1), goal_missed(3))["goals"] == near(0.6)


def test_an_abandoned_goal_is_left_out_and_where_none_is_left_only_the_change_counts() -> None:
    two = [START, goal_set(1, "g"), goal_set(1, "h", smart=0)]

    assert values(2, *two)["goals"] == near(0.6 + 0.4 * 0.8)
    assert values(2, *two, goal_abandoned(2, "h"))["goals"] == 1
    assert values(2, *two, goal_abandoned(2, "h"), goal_abandoned(2, "g"))["goals"] == near(0.6)


def test_a_revised_goal_ages_anew_and_has_the_flags_that_the_revision_tells() -> None:
    old = [START, goal_set(1, smart=0)]

    assert values(61, *old)["goals"] == near(0.6 * fresh(2) + 0.4 * 0.6 * fresh(2))
    assert values(61, *old, goal_revised(61))["goals"] == near(0.6 + 0.4 * 0.6)
    assert values(61, *old, goal_revised(61, smart=5))["goals"] == 1


def test_the_eight_newest_goals_count() -> None:
    vague = [goal_set(1 + n / 10, f"vague{n}", smart=0) for n in range(8)]
    clear = [goal_set(2 + n / 10, f"clear{n}", smart=5) for n in range(8)]

    assert values(3, START, *vague)["goals"] == near(0.6 + 0.4 * 0.6)
    assert values(3, START, *vague, *clear[:4])["goals"] == near(0.6 + 0.4 * 0.8)
    assert values(3, START, *vague, *clear)["goals"] == 1


def test_a_goal_that_is_set_again_after_its_end_is_open_again() -> None:
    again = [START, goal_set(1), goal_missed(2), goal_set(3)]

    assert values(3, *again)["goals"] == 1
    assert features(63, *again)["goal_stalled"] == 1


def test_a_retracted_end_leaves_the_goal_open_and_a_retracted_progress_leaves_it_where_it_was() -> None:
    end, progress = goal_missed(2), goal_progressed(1.5, 80)
    events = [START, goal_set(1), progress, end]

    assert values(2, *events)["goals"] == near(0.6 + 0.4 * 0.8)
    assert values(2, *events, retraction(3, end, "g"))["goals"] == 1
    assert values(2, *events, retraction(3, progress, "g"))["goals"] == near(0.6)


def test_a_retracted_revision_changes_nothing() -> None:
    revision = goal_revised(40, smart=0)
    events = [START, goal_set(1, smart=5), revision, retraction(41, revision, "g")]

    assert values(61, *events)["goals"] == values(61, START, goal_set(1, smart=5))["goals"]


def test_a_goal_whose_set_is_retracted_is_unknown_and_what_else_was_said_of_it_is_only_a_change() -> None:
    begin = goal_set(1)

    assert values(5, START, begin, goal_progressed(4, 90), retraction(5, begin, "g"))["goals"] == near(0.6)
    assert values(5, START, goal_progressed(4, 90))["goals"] == near(0.6)


def test_open_goals_are_stalled_when_nothing_changed_for_two_review_periods() -> None:
    open_ = [START, goal_set(1)]

    assert features(60.9, *open_)["goal_stalled"] == 0
    assert features(61, *open_)["goal_stalled"] == 1
    assert features(61, *open_, goal_progressed(30, 10))["goal_stalled"] == 0
    assert features(61, *open_, goal_achieved(1))["goal_stalled"] == 0
    assert scored(61, *open_).risk > scored(60.99, *open_).risk


def test_a_row_stands_where_goals_become_stalled() -> None:
    assert instants(62, START, goal_set(1.25))[61.25] == ("goal.stalled",)
    assert instants(62, START, goal_set(1))[61] == ("midnight", "goal.stalled")
    assert 61.25 not in instants(62, START, goal_set(1.25), goal_missed(2, "g"))


def test_goals_do_not_stall_while_the_relationship_is_paused() -> None:
    resting = [START, goal_set(1.25), paused(11.25)]

    assert not any("goal.stalled" in causes for causes in instants(80, *resting).values())
    assert instants(80, *resting, resumed(21.25))[71.25] == ("goal.stalled",)
    assert features(71, *resting, resumed(21.25))["goal_stalled"] == 0


def test_goals_do_not_stall_in_a_pause_that_lies_ahead() -> None:
    resting = [START, goal_set(1.25), paused(2, begin=20, until=30), paused(2, begin=40, until=45, name="q")]

    assert instants(80, *resting)[76.25] == ("goal.stalled",)
    assert instants(80, START, goal_set(1.25), paused(2, begin=70, until=75))[61.25] == ("goal.stalled",)


def test_a_stalled_instant_is_due() -> None:
    history = ScoreHistory(facts(START, goal_set(1.25)), DEFAULT)

    assert history.due(micros(61.1)) == micros(61.25)
    assert history.due(micros(61.25)) == micros(62)
