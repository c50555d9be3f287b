"""What corrections, repeats and other orders of arrival make of alerts."""

from dataclasses import replace

from schemas.rules import HEALTH_LOW, RULES, Rule
from schemas.scores import ScoreEvent
from services.notify.domain.evaluation import Evaluator
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.watch import Watch
from tests.notify.building import Pair, apply_event, clock, day, hour, late_trigger, new_alerts, summaries

PAIR = Pair()


def test_a_correction_alone_decides_nothing() -> None:
    assert apply_event(new_alerts(), PAIR.corrected(hour(0), health=10.0), clock(day(9))) == []


def test_a_correction_that_breaks_the_run_moves_its_beginning() -> None:
    events = (
        PAIR.changed(hour(0), health=30.0),
        PAIR.corrected(hour(0), 2, health=70.0),
        PAIR.changed(hour(10), 2, health=30.0),
        clock(day(9)),
    )

    assert summaries(apply_event(new_alerts(), *events)) == [("health_low", "fired", hour(34))]


def test_a_late_fact_that_shows_a_long_run_fires_at_the_row_that_decides() -> None:
    events = (
        PAIR.changed(day(0), health=70.0),
        PAIR.changed(day(3), health=70.0),
        PAIR.corrected(day(0), 2, health=30.0),
        PAIR.changed(day(3), 2, health=30.0, trigger=late_trigger(day(0), day(3))),
    )

    transitioned = apply_event(new_alerts(), *events)

    assert summaries(transitioned) == [("health_low", "fired", day(3))]
    assert transitioned[0].transition.episode.since == day(0)
    assert transitioned[0].by_row


def test_rows_older_than_what_was_known_join_the_run() -> None:
    events = (
        PAIR.changed(day(3), health=30.0),
        PAIR.corrected(day(2.5), 2, health=30.0),
        PAIR.changed(day(3), 2, health=30.0),
        clock(day(9)),
    )

    assert summaries(apply_event(new_alerts(), *events)) == [("health_low", "fired", day(3.5))]


def test_a_past_transition_stands_and_its_alert_clears_as_any_other() -> None:
    events = (
        PAIR.changed(day(0), health=30.0),
        clock(day(2)),
        PAIR.corrected(day(0), 2, health=70.0),
        PAIR.changed(day(2), 2, health=70.0),
        clock(day(9)),
    )

    assert summaries(apply_event(new_alerts(), *events)) == [
        ("health_low", "fired", day(1)),
        ("health_low", "resolved", day(2)),
    ]


def test_nothing_takes_effect_before_the_clock_that_was_reached() -> None:
    events = (
        PAIR.changed(day(0), health=70.0),
        clock(day(5)),
        PAIR.corrected(day(1), 2, health=30.0),
        PAIR.changed(day(3), 2, health=30.0),
    )

    assert summaries(apply_event(new_alerts(), *events)) == [("health_low", "fired", day(5))]


def test_a_deleted_instant_is_no_part_of_a_run() -> None:
    events = (
        PAIR.changed(day(0), health=30.0),
        PAIR.corrected(day(0), 2, deleted=True),
        PAIR.changed(day(0.5), 2, health=30.0),
        clock(day(9)),
    )

    assert summaries(apply_event(new_alerts(), *events)) == [("health_low", "fired", day(1.5))]


def test_the_newest_row_may_lie_before_one_that_was_deleted() -> None:
    events = (
        PAIR.changed(day(0), health=70.0),
        PAIR.changed(day(1), 2, health=30.0),
        PAIR.corrected(day(1), 3, deleted=True),
        PAIR.changed(day(0), 3, health=70.0),
        clock(day(9)),
    )

    assert apply_event(new_alerts(), *events) == []


def test_a_row_of_a_lower_version_replaces_nothing_and_decides_nothing() -> None:
    events = (PAIR.changed(day(0), 5, health=30.0), PAIR.changed(day(0), 4, health=90.0), clock(day(2)))

    assert summaries(apply_event(new_alerts(), *events)) == [("health_low", "fired", day(1))]


def test_of_equal_positions_heal_wins() -> None:
    healed = (PAIR.changed(day(0), 5, health=30.0), PAIR.changed(day(0), 5, health=90.0, mode="heal"), clock(day(2)))
    again = (*healed[:2], PAIR.changed(day(0), 5, health=30.0), clock(day(2)))

    assert apply_event(new_alerts(), *healed) == []
    assert apply_event(new_alerts(), *again) == []


def test_heal_at_a_lower_position_decides_nothing() -> None:
    events = (PAIR.changed(day(0), 5, health=30.0), PAIR.changed(day(0), 4, health=90.0, mode="heal"), clock(day(2)))

    assert summaries(apply_event(new_alerts(), *events)) == [("health_low", "fired", day(1))]


def test_a_heal_that_deletes_what_came_after_its_newest_row_decides_by_that_row() -> None:
    events = (
        PAIR.changed(day(0), 5, health=90.0),
        PAIR.changed(day(1), 5, health=30.0),
        PAIR.corrected(day(1), 5, mode="heal", deleted=True),
        PAIR.changed(day(0), 5, health=90.0, mode="heal"),
        clock(day(4)),
    )

    assert apply_event(new_alerts(), *events) == []


def test_a_heal_that_live_overtook_while_it_computed_decides_nothing() -> None:
    """Its newest row is older than the one that is shown: until the next row nobody would know better."""
    events = (
        PAIR.changed(day(0), 5, health=90.0),
        PAIR.changed(day(1), 5, health=30.0),
        PAIR.changed(day(0), 5, health=80.0, mode="heal"),
        clock(day(4)),
    )

    assert summaries(apply_event(new_alerts(), *events)) == [("health_low", "fired", day(2))]


def test_a_repeat_changes_nothing() -> None:
    events = (PAIR.changed(day(0), health=30.0), PAIR.changed(day(2), health=60.0))
    partition_alerts = new_alerts()
    apply_event(partition_alerts, *events)
    partition_alerts.drain_changes()

    assert apply_event(partition_alerts, *events) == []
    assert partition_alerts.drain_changes().watches == {}


def test_a_clock_that_does_not_move_changes_nothing() -> None:
    partition_alerts = new_alerts()
    apply_event(partition_alerts, clock(day(1)))
    assert partition_alerts.drain_changes().clock == day(1)

    apply_event(partition_alerts, clock(day(1)), clock(day(0)))

    assert partition_alerts.drain_changes().clock is None
    assert partition_alerts.clock == day(1)


def test_the_clock_takes_the_deadlines_of_all_pairs_in_the_order_of_time() -> None:
    partition_alerts = new_alerts()
    pairs = [Pair(relationship=name) for name in "cab"]
    for late, pair in enumerate(pairs):
        apply_event(partition_alerts, pair.changed(hour(10 - late), health=30.0))

    transitioned = apply_event(partition_alerts, clock(day(5)))

    assert [h.watch.subject.id for h in transitioned] == ["b", "a", "c"]
    assert partition_alerts.has_watch("acme/a")


def test_a_deadline_that_moved_is_not_taken_twice() -> None:
    partition_alerts = new_alerts()
    moves = [
        PAIR.changed(hour(h), health=health) for h, health in ((0, 30.0), (1, 60.0), (2, 30.0), (3, 60.0), (4, 30.0))
    ]

    assert summaries(apply_event(partition_alerts, *moves, clock(day(9)))) == [("health_low", "fired", hour(28))]


def test_the_row_that_explains_is_kept_while_something_is_open_or_coming() -> None:
    partition_alerts = new_alerts()

    def kept() -> Watch:
        return partition_alerts.drain_changes().watches["acme/4F2"]

    apply_event(partition_alerts, PAIR.changed(hour(0), health=30.0))
    assert kept().shown is not None
    apply_event(partition_alerts, clock(day(2)))
    assert kept().shown is not None
    apply_event(partition_alerts, PAIR.changed(day(3), health=90.0, status="ended"))
    assert kept().shown is None


def restored(events: tuple[ScoreEvent, ...], before: tuple[Rule, ...], after: tuple[Rule, ...]) -> PartitionAlerts:
    """Alerts that go on with other rules than those that its state was written under."""
    partition_alerts = PartitionAlerts(Evaluator(before, "log"), {}, None)
    apply_event(partition_alerts, *events)
    return PartitionAlerts(Evaluator(after, "log"), partition_alerts.drain_changes().watches, None)


def test_a_rule_that_is_new_to_a_state_looks_back_into_the_window() -> None:
    pending = (PAIR.changed(day(0), health=30.0, risk=0.9),)
    partition_alerts = restored(pending, (HEALTH_LOW,), RULES)

    assert summaries(apply_event(partition_alerts, clock(day(2)))) == [("health_low", "fired", day(1))]
    assert summaries(apply_event(partition_alerts, PAIR.changed(day(3), health=30.0, risk=0.9), clock(day(5)))) == [
        ("disengaging", "fired", day(3))
    ]


def test_a_rule_may_be_gone_or_have_other_tiers_than_a_state() -> None:
    pending = (PAIR.changed(day(0), health=30.0, risk=0.9),)
    other = replace(HEALTH_LOW, tiers=HEALTH_LOW.tiers[1:])

    assert summaries(apply_event(restored(pending, RULES, (other,)), clock(day(9)))) == [
        ("health_low", "fired", day(1))
    ]
