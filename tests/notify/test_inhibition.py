"""A source that is silent freezes what depends on it, and releases it as it is then."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Handling
from schemas.primitives import Instant
from schemas.rules import RULES
from services.notify.domain.evaluation import Evaluator
from services.notify.domain.guards import Frozen, source_digest
from services.notify.domain.ids import ProgrammeKey
from services.notify.domain.lifecycle import AT_REST, OPEN
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.pipeline import Decision, Notice, run_pipeline, stage_context
from services.notify.domain.routing import Addressee, RoutingResult
from tests.notify.building import (
    HOOK,
    Pair,
    apply_event,
    clock,
    day,
    decide,
    decide_transition,
    digests,
    hour,
    late_trigger,
    new_alerts,
    summaries,
)
from tests.notify.test_any_batches import Saved

FEED, OTHER = "/calendar", "/chat"
PAIR = Pair(defaults={"sources": (FEED, OTHER)})
SILENT: Mapping[ProgrammeKey, Mapping[str, Frozen]] = {("acme", "spruce"): {source_digest(FEED): Frozen(FEED, day(1))}}
SPEAKS: Mapping[ProgrammeKey, Mapping[str, Frozen]] = {}


def released(alerts: PartitionAlerts, now: Instant) -> list[Decision]:
    return [decide_transition(alerts, one, now) for one in alerts.freeze(SPEAKS)]


def test_what_is_pending_does_not_fire_while_its_source_is_silent() -> None:
    alerts = new_alerts()
    apply_event(alerts, PAIR.changed(hour(0), health=30))
    alerts.freeze(SILENT)

    assert apply_event(alerts, PAIR.changed(day(2), health=20), clock(day(9))) == []


def test_what_is_open_does_not_resolve() -> None:
    alerts = new_alerts()
    apply_event(alerts, PAIR.changed(hour(0), health=30), clock(day(2)))
    alerts.freeze(SILENT)

    assert apply_event(alerts, PAIR.changed(day(2), health=90), clock(day(9))) == []


def test_when_it_speaks_again_what_still_fires_is_one_digest_that_says_why() -> None:
    alerts = new_alerts()
    pairs = [replace(PAIR, relationship=name) for name in ("a", "b", "c")]
    for pair in pairs:
        apply_event(alerts, pair.changed(hour(0), health=30))
    alerts.freeze(SILENT)
    apply_event(alerts, clock(day(5)))
    # What had piled up shows that one of them is well.
    apply_event(alerts, pairs[2].corrected(hour(0), 2, health=80), pairs[2].changed(day(5), 2, health=80))

    decisions = released(alerts, day(5))

    assert [(d.event.subject, d.event.data.transition, d.event.data.at) for d in decisions] == [
        ("a", "fired", day(5)),
        ("b", "fired", day(5)),
    ]
    (digest,) = digests(decisions)
    assert [item.relationship for item in digest.items] == ["b"]
    reasons = [stage.why for stage in decisions[0].event.data.decisions if stage.stage == "group"]
    assert reasons == ["in the digest 'at risk now': /calendar was silent since 2 May 2024 00:00 UTC"]


def test_what_had_cleared_meanwhile_resolves_when_it_speaks_again() -> None:
    alerts = new_alerts()
    decide(alerts, PAIR.changed(hour(0), health=30), clock(day(2)))
    alerts.freeze(SILENT)
    apply_event(alerts, PAIR.changed(day(2), health=90), clock(day(9)))

    (resolved,) = released(alerts, day(9))

    assert (resolved.event.data.transition, resolved.event.data.not_sent) == ("resolved", None)


def test_other_pairs_and_other_programmes_go_on() -> None:
    alerts = new_alerts()
    others = (Pair("other", defaults={"sources": (OTHER,)}), Pair("birch", program="birch", defaults=PAIR.defaults))
    for pair in (PAIR, *others):
        apply_event(alerts, pair.changed(hour(0), health=30))
    alerts.freeze(SILENT)

    found = apply_event(alerts, clock(day(2)))

    assert sorted(one.watch.subject.id for one in found) == ["birch", "other"]


def test_a_pair_that_comes_to_depend_on_it_is_frozen_too() -> None:
    alerts = new_alerts()
    alerts.freeze(SILENT)

    assert apply_event(alerts, PAIR.changed(hour(0), health=30), clock(day(9))) == []


def test_a_call_for_support_waits_for_nothing() -> None:
    alerts = new_alerts()
    apply_event(alerts, PAIR.changed(hour(0), health=30))
    alerts.freeze(SILENT)

    found = apply_event(alerts, PAIR.changed(hour(9), health=30, caps=("support_open",), open_requests=("r-1",)))

    assert summaries(found) == [("support_requested", "fired", hour(9))]


def test_the_end_of_a_relationship_is_reported_while_it_is_frozen() -> None:
    alerts = new_alerts()
    decide(alerts, PAIR.changed(hour(0), health=30), clock(day(2)))
    alerts.freeze(SILENT)

    (ended,) = decide(alerts, PAIR.changed(day(3), health=30, status="ended"))

    assert (ended.event.data.why, ended.event.data.not_sent) == ("relationship ended", None)


def test_whatever_would_come_of_a_frozen_pair_is_stopped_with_the_reason() -> None:
    alerts = new_alerts()
    (fired,) = apply_event(alerts, PAIR.changed(hour(0), health=30), clock(day(2)))
    frozen = fired._replace(watch=replace(fired.watch, frozen=Frozen(FEED, day(1))))
    event = decide_transition(alerts, fired, day(2)).event

    decision = run_pipeline(Notice(event), stage_context(frozen, 0, RoutingResult((Addressee(HOOK),), "catch-all")))

    assert decision.event.data.not_sent == "inhibited: /calendar was silent since 2 May 2024 00:00 UTC"


def test_history_that_arrives_while_it_is_silent_is_judged_when_it_speaks() -> None:
    alerts = new_alerts("wall")
    apply_event(alerts, PAIR.changed(hour(0), health=80))
    alerts.freeze(SILENT)
    apply_event(alerts, PAIR.corrected(day(1), 2, health=30))
    apply_event(alerts, PAIR.changed(day(3), 2, health=30, trigger=late_trigger(day(0), day(3))), clock(day(4)))
    assert alerts.settle("acme/4F2") == []

    assert summaries(alerts.freeze(SPEAKS)) == [("health_low", "fired", day(4))]


def test_a_pair_is_frozen_until_the_last_of_its_sources_speaks() -> None:
    alerts = new_alerts()
    apply_event(alerts, PAIR.changed(hour(0), health=30))
    both = {("acme", "spruce"): {**SILENT["acme", "spruce"], source_digest(OTHER): Frozen(OTHER, day(2))}}
    only_other = {("acme", "spruce"): {source_digest(OTHER): Frozen(OTHER, day(2))}}
    alerts.freeze(both)
    apply_event(alerts, clock(day(5)))

    assert alerts.freeze(only_other) == []
    assert summaries(alerts.freeze(SPEAKS)) == [("health_low", "fired", day(5))]


def test_who_is_frozen_by_a_source_of_which_no_state_is_left_thaws() -> None:
    alerts, saved = new_alerts(), Saved()
    apply_event(alerts, PAIR.changed(hour(0), health=30))
    alerts.freeze(SILENT)
    apply_event(alerts, clock(day(5)))
    saved.write(alerts)

    restored = saved.restored(Evaluator(RULES, "log"))
    restored.restore_silent(SPEAKS)

    assert summaries(restored.freeze(SPEAKS)) == [("health_low", "fired", day(5))]


def test_a_pair_of_which_nothing_is_known_thaws_without_a_word() -> None:
    alerts = new_alerts()
    decide(alerts, PAIR.changed(hour(0), health=30), clock(day(2)))
    alerts.set_handling("acme/4F2", "health_low", Handling(state="acknowledged", until=day(3)))
    alerts.freeze(SILENT)
    apply_event(alerts, PAIR.changed(day(4), 2, deleted=True), clock(day(5)))

    assert alerts.freeze(SPEAKS) == []
    assert alerts.drain_resets() == []


ROWS = st.lists(
    st.tuples(st.integers(1, 60), st.sampled_from([15.0, 30.0, 45.0, 90.0]), st.sampled_from(["row", "clock", "turn"])),
    max_size=40,
)


@given(drawn=ROWS, restores=st.sets(st.integers(0, 40)))
def test_nothing_is_sent_while_inhibited_and_afterwards_all_is_as_if_it_had_never_been(
    drawn: list[tuple[int, float, str]], restores: set[int]
) -> None:
    """Whatever comes while the source is silent, and whenever the state is restored; and the condition in the end is
    that of a pair that was never frozen."""
    frozen, free, saved = new_alerts(rules=RULES), new_alerts(rules=RULES), Saved()
    now, silent = 0, False
    for number, (hours, health, kind) in enumerate(drawn):
        now += hours
        if number in restores:
            saved.write(frozen)
            frozen = saved.restored(Evaluator(RULES, "log"))
            frozen.restore_silent(SILENT if silent else SPEAKS)
        if kind == "turn":
            silent = not silent
            transitioned = frozen.freeze(SILENT if silent else SPEAKS)
            assert not (silent and transitioned)
        else:
            event = PAIR.changed(hour(now), health=health) if kind == "row" else clock(hour(now))
            transitioned = apply_event(frozen, event)
            apply_event(free, event)
            assert not (silent and transitioned)
    frozen.freeze(SPEAKS)
    for alerts in (frozen, free):
        apply_event(alerts, PAIR.changed(hour(now + 1), health=90.0), clock(hour(now + 24 * 30)))

    watches = [alerts.watch("acme/4F2") for alerts in (frozen, free)]
    # A rule of which nothing has ever been is not kept: it is at rest.
    conditions = [
        {one.name: watch.rules.get(one.name, AT_REST).condition for one in RULES} for watch in watches if watch
    ]
    assert conditions[0] == conditions[1]
    assert not any(condition in OPEN for name, condition in conditions[0].items() if name == "health_low")
