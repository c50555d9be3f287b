"""Rules as versions of a programme: what a file may say, shadow before it pages, and the past under other rules."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from schemas.events import to_json
from schemas.programs import Profile, Programme, Source, WatchLevels
from schemas.rule_sets import (
    DEFAULTS,
    RULE_EVENT,
    RuleEvent,
    RuleSet,
    RulesSet,
    RulesShadowed,
    RuleVersion,
    ShadowResult,
    differing,
    problems_of,
    rules_of,
)
from schemas.rules import HEALTH_LOW, RULES
from schemas.scores import ScoreEvent
from services.notify.domain.destinations import DestinationsConfig
from services.notify.domain.name_book import NameBook
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.preferences import AddressesOff
from services.notify.domain.routing import Addressing, DecisionContext
from services.notify.domain.rule_book import COUNTED_AT_ONCE, RuleBook, Shadow, ShadowCount
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.domain.subjects import Tally
from services.notify.flow.backtest import monday, run_backtest
from services.notify.flow.report import Metrics
from services.notify.flow.score_processor import ScoreProcessor
from services.runtime.kafka import Record
from services.runtime.strict_yaml import documents
from tests.notify.building import Pair, apply_event, clock, day, hour, summaries
from tests.notify.harness import SCORES

PAIR = Pair()
SPRUCE = ("acme", "spruce")
STRICT = {"health_low": {"tiers": [{"level": 50, "for_hours": 24, "urgency": "P2"}], "clear": 75}}
QUICK = {"for_hours": 1, "urgency": "P3"}
NOW = day(0)


def file_of(rules: dict[str, Any], **fields: Any) -> RuleSet:  # noqa: ANN401
    given_ = {"tenant": "acme", "program": "spruce", "version": "strict", "rules": rules} | fields
    return RuleSet.model_validate_json(json.dumps(given_))


def applied(rules: dict[str, Any], at: datetime, version: str = "strict", shadow_hours: float = 24) -> RulesSet:
    data = RuleVersion(
        version=version, since=at, pages_from=at + timedelta(hours=shadow_hours), rules=file_of(rules).rules
    )
    return RulesSet(
        type="mentoring.program.rules_set.v1",
        source="urn:rapport:rules",
        id=f"set-{version}",
        time=at,
        recordedtime=at,
        tenant="acme",
        program="spruce",
        data=data,
    )


def watched(*levels: float) -> Programme:
    profile = Profile(version="spruce-1", watch=WatchLevels(health=levels))
    return Programme(id="spruce", tenant="acme", profiles=(profile,), recordedtime=NOW)


def counted(shadow: Shadow, alerts: PartitionAlerts, recorded: datetime) -> RulesShadowed:
    """One relationship after the other."""
    count = ShadowCount(shadow, alerts.watches_of_program(SPRUCE))
    while not count.count_next(1):
        pass
    return count.event(recorded)


def problems(rules: dict[str, Any], programme: Programme | None = None) -> list[str]:
    return problems_of(file_of(rules), programme, NOW)


def test_a_file_changes_what_it_names_and_nothing_else() -> None:
    found = {
        rule.name: rule for rule in rules_of("strict", file_of(STRICT | {"close_proposed": {"disabled": True}}).rules)
    }

    assert found.keys() == DEFAULTS.keys() - {"close_proposed"}
    low = found["health_low"]
    assert (low.version, low.levels, low.clear_hold) == ("strict", (50, 75), HEALTH_LOW.clear_hold)
    assert found["disengaging"] == DEFAULTS["disengaging"]
    assert [name for name, _, _ in differing(tuple(DEFAULTS.values()), tuple(found.values()))] == [
        "health_low",
        "close_proposed",
    ]


def test_every_field_reaches_its_rule() -> None:
    rules = {
        "health_drop": {"window_days": 5, "regained": 0.75, "settles_days": 10, "min_points": 3, "keep_hours": 6},
        "no_contact": {
            "intervals": 4,
            "least_days": 28,
            "unmet_days": 20,
            "tiers": [{"for_hours": 1, "urgency": "P3"}],
        },
        "programme_shift": {"least_pairs": 9, "median_fall": 15, "window_days": 3, "clear": 0.05, "clear_hours": 24},
        "source_silent": {"tiers": [{"level": 4, "urgency": "P2"}]},
    }
    found = {rule.name: rule for rule in rules_of("v", file_of(rules).rules)}

    drop, contact, shift = found["health_drop"], found["no_contact"], found["programme_shift"]
    assert drop.drop is not None
    assert (drop.drop.window.days, drop.drop.regained, drop.drop.settles.days) == (5, 0.75, 10)
    assert (drop.min_points, drop.keep) == (3, timedelta(hours=6))
    assert contact.age is not None
    assert (contact.age.intervals, contact.age.least.days, contact.age.unmet.days) == (4, 28, 20)
    assert contact.tiers[0].hold == timedelta(hours=1)
    assert shift.shift is not None
    assert (shift.shift.least, shift.shift.fall, shift.shift.window.days) == (9, 15, 3)
    assert (shift.clear_level, shift.clear_hold) == (0.05, timedelta(hours=24))
    assert list(found["source_silent"].levels) == [4, 1]
    assert problems(rules) == []


@pytest.mark.parametrize(
    ("rules", "part"),
    [
        ({"health_low": {"clear": 44}}, "rules.health_low: the clear level must be stricter than every tier"),
        ({"health_low": {"window_days": 3}}, "rules.health_low: health_low has no window_days: only clear,"),
        ({"no_contact": {"clear": 3}}, "rules.no_contact: no_contact has no clear"),
        ({"no_contact": {"tiers": [{"level": 3, "urgency": "P3"}]}}, "a tier has no level"),
        ({"disengaging": {"tiers": [{"urgency": "P3"}]}}, "disengaging: a tier needs a level"),
        ({"disengaging": {"tiers": [{"level": 70, "urgency": "P3"}]}}, "70 is no risk: it lies between 0 and 1"),
        ({"programme_shift": {"tiers": [{"level": 20, "urgency": "P1"}]}}, "20 and 0.1 are no share"),
        ({"programme_shift": {"clear": 0.14}}, "better by a gap of at least 0.02"),
        ({"source_silent": {"clear_hours": 400}}, "a hold lies between 0 h and 336 h"),
        ({"source_silent": {"tiers": [QUICK | {"level": 2}, {"level": 4, "urgency": "P1"}]}}, "needs one tier"),
        ({"programme_shift": {"window_days": 20}}, "the window lies between 0 h and 336 h"),
    ],
)
def test_a_file_that_cannot_work_is_refused_with_the_place_and_the_reason(rules: dict[str, Any], part: str) -> None:
    found = problems(rules)

    assert any(part in one for one in found), found


def test_a_level_that_the_profile_does_not_watch_is_refused_with_what_to_do() -> None:
    found = problems(STRICT, watched(60, 50, 40, 25))

    (one,) = found
    assert one.startswith("rules.health_low: 75 is no watch level of health (60, 50, 40, 25), in profile spruce-1: use")
    assert one.endswith("of a further version of the profile and apply that first (`rapport programs apply`)")
    assert problems(STRICT, watched(75, 50)) == []


def test_versions_of_a_profile_that_are_still_to_come_are_looked_at_and_those_that_are_over_are_not() -> None:
    first = Profile(version="p-1", watch=WatchLevels(health=(50,)))
    second = Profile(version="p-2", watch=WatchLevels(health=(75, 50)), effective_from=day(-1))
    third = Profile(version="p-3", watch=WatchLevels(health=(75,)), effective_from=day(9))
    programme = Programme(id="spruce", tenant="acme", profiles=(first, second, third), recordedtime=NOW)

    found = problems(STRICT, programme)

    assert [one.split(":")[1].split(",")[0].strip() for one in found] == ["50 is no watch level of health (75)"]


@pytest.mark.parametrize(
    "broken",
    [
        {"rules": {"support_requested": {"disabled": True}}},
        {"rules": {"healthlow": {}}},
        {"rules": {}, "shadow_hours": 1},
        {"rules": {}, "shadow_hours": 200},
        {"rules": {}, "version": "two words"},
        {"rules": {"health_low": {"tiers": []}}},
        {"rules": {"health_low": {"clear": "50"}}},
    ],
)
def test_what_is_no_file_of_rules_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        file_of(broken.pop("rules"), **broken)


def test_the_sample_is_valid() -> None:
    (found,) = documents(Path(__file__).parents[2] / "deploy/local/sample/rules.yaml")

    sample = RuleSet.model_validate_json(json.dumps(found))

    assert problems_of(sample, None, NOW) == []


def book(*events: RulesSet) -> RuleBook:
    found = RuleBook("log")
    for event in events:
        found.apply(event)
    return found


def test_a_version_pages_when_its_shadow_is_over_and_every_transition_names_its_rule() -> None:
    rules = book(applied(STRICT, day(1)))
    alerts = PartitionAlerts(rules, {}, None)

    before = apply_event(alerts, PAIR.changed(day(0), health=45), clock(day(1.9)))
    after = apply_event(alerts, PAIR.changed(day(2), health=45), clock(day(2.1)))

    assert before == []
    assert [(one.transition.rule.name, one.transition.rule.version) for one in after] == [("health_low", "strict")]
    assert summaries(after) == [("health_low", "fired", day(2))]


def test_a_version_that_is_applied_during_a_shadow_takes_its_place() -> None:
    rules = book(applied(STRICT, day(1)), applied({}, day(1.5), version="as-before"))

    assert [version.version for version in rules.versions(SPRUCE)] == ["as-before"]
    assert rules.in_force(SPRUCE, day(2.2)).version == "1"
    assert rules.in_force(SPRUCE, day(9)).version == "as-before"
    # Read once more from the beginning of the topic.
    rules.apply(applied(STRICT, day(1)))
    assert [version.version for version in rules.versions(SPRUCE)] == ["as-before"]
    assert rules.applied(SPRUCE, "strict") is not None


def test_a_rule_that_is_switched_off_closes_what_is_open_and_says_so() -> None:
    rules = book(applied({"health_low": {"disabled": True}}, day(2), shadow_hours=2))
    alerts = PartitionAlerts(rules, {}, None)
    fired = apply_event(alerts, PAIR.changed(day(0), health=30), clock(day(1.5)))

    over = apply_event(alerts, PAIR.changed(day(3), health=30), clock(day(9)))

    assert [(one.transition.name, one.transition.why) for one in (*fired, *over)] == [
        ("fired", "health at or below 40 for 24 h"),
        ("resolved", "the rule is off"),
    ]


def test_rules_of_other_programmes_are_as_they_were() -> None:
    rules = book(applied(STRICT, day(0), shadow_hours=2))

    assert rules.evaluator_for("acme", "birch", day(9)).rules == RULES
    assert rules.evaluator_for("other", "spruce", day(9)).rules == RULES


def test_a_shadow_says_what_would_have_fired_beside_what_has_an_hour_before_it_pages() -> None:
    rules = book(applied(STRICT, day(3), shadow_hours=48))
    alerts = PartitionAlerts(rules, {}, None)
    gained, both, before = (Pair(name) for name in ("gained", "both", "before"))
    apply_event(
        alerts,
        before.changed(day(0), health=45),
        gained.changed(day(3.2), health=45),
        both.changed(day(3.2), health=30),
    )
    apply_event(alerts, clock(day(5) - timedelta(hours=1)))

    (shadow,) = rules.shadows(day(5) - timedelta(hours=1))
    event = counted(shadow, alerts, day(5))

    assert rules.shadows(day(4.9)) == []
    assert (event.data.before, event.data.version, event.data.pairs) == ("1", "strict", 3)
    (low,) = event.data.differences
    assert (low.rule, low.now, low.then, low.gained, low.lost) == ("health_low", 1, 2, 1, 0)
    rules.apply(event)
    assert rules.shadows(day(9)) == []
    assert rules.result(SPRUCE, "strict") == event.data
    assert RULE_EVENT.validate_json(event.model_dump_json()) == event


@pytest.mark.parametrize(("replaced", "rounds"), [(False, [0, 0, 1, 0]), (True, [0, 0, 0, 0])])
def test_a_shadow_of_many_pairs_is_counted_a_part_in_each_round(*, replaced: bool, rounds: list[int]) -> None:
    rules = book(applied(STRICT, day(3), shadow_hours=48))
    alerts = PartitionAlerts(rules, {}, None)
    context = DecisionContext("log", lambda: day(5), Addressing(DestinationsConfig(), NameBook(), AddressesOff()))
    deciding = ScoreProcessor({0: alerts}, SharedAlerts(rules, {}), rules, context, Metrics(CollectorRegistry()))
    pairs = 2 * COUNTED_AT_ONCE + 1
    apply_event(alerts, *(Pair(f"pair-{number}").changed(day(3.2), health=45) for number in range(pairs)))

    published: list[RuleEvent] = []
    for number, expected in enumerate(rounds):
        if replaced and number == 1:
            rules.apply(applied({}, day(4.9), version="other", shadow_hours=96))
        deciding.decide({SCORES: [recorded(clock(day(5) - timedelta(hours=1, minutes=-number)))]}, ())
        found = deciding.drain_shadow_results()
        assert len(found) == expected
        published += found

    for event in published:
        assert isinstance(event.data, ShadowResult)
        assert (event.data.pairs, event.data.differences[0].gained) == (pairs, pairs)
    assert (rules.result(SPRUCE, "strict") is None) == replaced


def recorded(event: ScoreEvent) -> Record:
    return Record(SCORES.topic, 0, 0, None, to_json(event), (), 0)


def test_programmes_are_judged_by_their_own_version() -> None:
    rules = book(applied({"programme_shift": {"keep_hours": 120}}, day(-2), shadow_hours=2))
    shared = SharedAlerts(rules, {})

    found = []
    for hours in range(200):
        tally = Tally([70.0] * 20, 0 if hours else 10)
        found += shared.advance(hour(hours), lambda tally=tally: {SPRUCE: tally})  # type: ignore[misc]

    assert [(one.transition.name, one.transition.at) for one in found] == [("fired", day(0)), ("resolved", day(5))]
    assert found[0].transition.rule.version == "strict"


def test_a_programme_whose_rules_are_off_is_not_alerted_about() -> None:
    rules = book(applied({"programme_shift": {"disabled": True}}, day(2), shadow_hours=2))
    shared = SharedAlerts(rules, {})

    found = [
        one for hours in range(60) for one in shared.advance(hour(hours), lambda: {SPRUCE: Tally([70.0] * 20, 10)})
    ]

    assert [(one.transition.name, one.transition.why) for one in found][1:] == [("resolved", "the rule is off")]


def test_a_source_whose_rule_is_off_freezes_nobody() -> None:
    rules = book(applied({"source_silent": {"disabled": True}}, day(4), shadow_hours=2))
    shared = SharedAlerts(rules, {})
    feed = Source(source="/calendar", interval_hours=24)
    shared.upsert_programme(Programme(id="spruce", tenant="acme", sources=(feed,), recordedtime=day(0)))

    shared.advance(day(0), dict)
    fired = shared.advance(day(3), dict)
    key = fired[0].watch.subject.key
    shared.mark_notified(key, "source_silent", 1, ())
    frozen = shared.silent()
    over = shared.advance(day(5), dict)

    assert (list(frozen), shared.last_notified_episode(key, "source_silent")) == ([SPRUCE], 1)
    assert [(one.transition.name, one.transition.why) for one in over] == [("resolved", "the rule is off")]
    assert shared.silent() == {}


def test_a_shadow_says_nothing_of_rules_of_programmes_and_counts_a_rule_that_is_new_or_off() -> None:
    changes = {"programme_shift": {"clear": 0.05}, "health_low": {"disabled": True}}
    rules = book(applied(changes, day(1)))
    alerts = PartitionAlerts(rules, {}, None)
    apply_event(alerts, PAIR.changed(day(0.5), health=30), clock(day(2)))

    event = counted(rules.shadows(day(2))[0], alerts, day(2))

    assert [(one.rule, one.now, one.then, one.lost) for one in event.data.differences] == [("health_low", 1, 0, 1)]


def test_the_past_under_other_rules_is_counted_by_rule_and_week() -> None:
    events: list[tuple[int, ScoreEvent]] = [
        (0, PAIR.changed(day(at), health=45 if at < 9 else 90, last_contact=day(at))) for at in range(20)
    ]
    events += [(0, clock(day(20))), (1, Pair("other").changed(day(1), health=90))]

    found = run_backtest(events, tuple(DEFAULTS.values()), rules_of("strict", file_of(STRICT).rules))

    assert (found.since, found.until, len(found.relationships)) == (day(0), day(20), 2)
    assert found.now.of("health_low") == 0
    assert dict(found.then.weeks) == {("health_low", monday(day(1))): 1}
    assert found.then.pairs == {"health_low": {"4F2"}}
    assert [f"{week:%a %d %b}" for week in found.weeks] == ["Mon 29 Apr", "Mon 06 May", "Mon 13 May", "Mon 20 May"]


def test_nothing_in_the_past_is_nothing() -> None:
    assert run_backtest([], RULES, RULES).weeks == []


@given(
    drawn=st.lists(st.tuples(st.integers(1, 40), st.sampled_from([20.0, 30.0, 45.0, 60.0, 90.0])), max_size=40),
    cuts=st.sets(st.integers(0, 40)),
)
def test_a_version_takes_hold_at_the_same_instant_however_the_log_is_cut(
    drawn: list[tuple[int, float]], cuts: set[int]
) -> None:
    def run(restores: set[int]) -> list[tuple[str, str, str, datetime]]:
        rules, now = book(applied(STRICT, day(2)), applied({}, day(5), version="back")), 0
        found: list[tuple[str, str, str, datetime]] = []
        alerts = PartitionAlerts(rules, {}, None)
        for number, (hours, health) in enumerate(drawn):
            if number in restores:
                touched = alerts.drain_changes()
                known = {"acme/4F2": watch} if (watch := alerts.watch("acme/4F2")) else dict(touched.watches)
                alerts = PartitionAlerts(rules, known, alerts.clock)
            now += hours
            for one in apply_event(alerts, PAIR.changed(hour(now), health=health), clock(hour(now))):
                turn = one.transition
                found.append((turn.rule.name, turn.rule.version, turn.name, turn.at))
        return found

    assert run(cuts) == run(set())


def test_differences_leave_out_what_only_has_another_version() -> None:
    renamed = tuple(replace(rule, version="2") for rule in DEFAULTS.values())

    assert differing(tuple(DEFAULTS.values()), renamed) == []
