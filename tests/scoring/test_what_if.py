"""Another profile over the same history: how many alerts more or fewer, of which relationships, in which programme."""

import io
import json
from datetime import timedelta
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import pytest
from rich.console import Console

from schemas.events import OfRelationship
from schemas.programs import Profile, WatchLevels, Weights
from schemas.rules import DISENGAGING, HEALTH_LOW, LEVELLED_RULES, Rule
from services.scoring.commands.what_if import LevelForHours, document, report, tried_rules
from services.scoring.domain.bounds import HOUR
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.profiles import DEFAULT, Profiles
from services.scoring.domain.what_if import (
    Balance,
    Candidates,
    RuleComparison,
    Summary,
    TrialAlert,
    TrialQuestion,
    TrialSpan,
    balance,
    compare,
    summaries,
)
from services.scoring.flow.what_if import ProfileFileError, read_candidates
from tests.scoring.building import held, micros, started

PATIENT = Profile(version="patient", cadence_days=60)
SILENT = (started(0.5), *(held(1.5 + day) for day in range(6)))


def test_the_same_profile_changes_nothing() -> None:
    for one in compared(Profile(version="same"), *SILENT):
        assert one.now == one.then


def test_a_patient_profile_does_not_alert_where_the_present_one_does_and_the_other_way_round() -> None:
    (one,) = compared(PATIENT, *SILENT, rules=(HEALTH_LOW,))
    (other,) = compare("t/r", history(*SILENT), Profiles((PATIENT,)), question(DEFAULT.at(0)))

    assert (len(one.now), one.then) == (1, ())
    assert (other.now, other.then) == (one.then, one.now)


def test_only_alerts_of_the_span_count() -> None:
    (whole,) = compared(DEFAULT.at(0), *SILENT, rules=(DISENGAGING,))
    fired = whole.now[0].fired

    def count(since: int, until: int) -> int:
        of_the_span = TrialQuestion(Candidates(DEFAULT.at(0)), (DISENGAGING,), TrialSpan(since, until))
        return len(compare("t/r", history(*SILENT), DEFAULT, of_the_span)[0].now)

    assert count(fired, micros(90)) == 1
    assert count(fired + 1, micros(90)) == 0
    assert count(micros(0), fired) == 1
    assert count(micros(0), fired - 1) == 0


def test_levels_that_a_profile_does_not_watch_are_found_to_the_second_all_the_same() -> None:
    blind = Profile(version="blind", watch=WatchLevels(health=(75,), risk=(0.9,)))

    (one,) = compared(blind, *SILENT, rules=(DISENGAGING,))

    assert one.now == one.then
    assert one.now[0].fired % (24 * HOUR)


def test_a_summary_counts_alerts_and_the_relationships_that_differ() -> None:
    alert, other = TrialAlert(1, None), TrialAlert(2, 3)
    found = summaries(
        [
            RuleComparison("t/a", "p", "x", (alert,), (alert, other)),
            RuleComparison("t/b", "p", "x", (), (alert,)),
            RuleComparison("t/c", "p", "x", (other,), ()),
            RuleComparison("u/a", "p", "x", (), ()),
        ]
    )

    assert found == [Summary("t/p", "x", 3, 2, 3, 1, 1), Summary("u/p", "x", 1, 0, 0, 0, 0)]


def test_a_relationship_is_gained_or_lost_whichever_rule_it_is_that_alerts() -> None:
    alert = TrialAlert(1, None)
    found = balance(
        [
            RuleComparison("t/a", "p", "x", (alert,), ()),
            RuleComparison("t/a", "p", "y", (), (alert,)),
            RuleComparison("t/b", "p", "x", (), (alert,)),
            RuleComparison("t/c", "p", "x", (alert,), ()),
            RuleComparison("t/d", "p", "x", (alert,), ()),
            RuleComparison("t/e", "p", "x", (), ()),
        ]
    )

    assert found == Balance(gained=1, lost=2, kept=1)


def test_a_programme_is_scored_by_its_own_candidate_and_others_are_left_out() -> None:
    asked = TrialQuestion(Candidates(of_program={"t/p": PATIENT}), (HEALTH_LOW,), TrialSpan(micros(0), micros(84)))

    assert compare("t/r", history(*SILENT), DEFAULT, asked) == compared(PATIENT, *SILENT, rules=(HEALTH_LOW,))
    assert compare("u/r", history(*SILENT), DEFAULT, asked) == []


def test_the_report_tells_the_relationships_first_and_then_who_and_when() -> None:
    text = printed(PATIENT)

    assert text.startswith(
        "With patient 0 relationships would alert that do not now, and 1 no longer would; 0 do either way. That is "
        "0.00 alerts a week instead of 0.08.\n"
    )
    assert "Note: the risk of patient is uncalibrated: general defaults" in text
    assert "2024-01-01 00:00 to 2024-03-25 00:00 UTC, 12.0 weeks" in text
    assert "t/p        health_low      1  0.08     0.00       -0.08                   0               1" in text
    assert "t/r   health_low  no longer  2024-0" in text


def test_a_profile_that_notify_would_refuse_is_noted() -> None:
    blind = PATIENT.model_copy(update={"watch": WatchLevels(health=(50, 25))})

    assert "with patient notify would not start: health_low: 40 is no watch level of health (50, 25)" in printed(blind)


def test_the_document_holds_the_same() -> None:
    found = json.loads(json.dumps(document(question(PATIENT), compared(PATIENT, *SILENT, rules=(HEALTH_LOW,)))))

    assert found["profiles"]["*"]["version"] == "patient"
    assert (found["relationships_gained"], found["relationships_lost"]) == (0, 1)
    assert found["weeks"] == 12
    (programme,) = found["programmes"]
    assert (programme["program"], programme["now"], programme["then"]) == ("t/p", 1, 0)
    assert programme["now_a_week"] == pytest.approx(1 / 12)
    (pair,) = found["relationships"]
    assert pair["relationship"] == "t/r"
    assert pair["now"][0]["fired"].endswith("Z")


def test_other_levels_are_given_with_their_hours() -> None:
    (rule,) = tried(rule="health_low", fires=("45:24", "25:6"), clears="55:48")

    assert [(tier.level, tier.hold) for tier in rule.tiers] == [(45, timedelta(hours=24)), (25, timedelta(hours=6))]
    assert (rule.clear_level, rule.clear_hold) == (55, timedelta(hours=48))
    assert tried() == LEVELLED_RULES
    assert tried(rule="health_low") == (HEALTH_LOW,)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fires": ("40:24",)}, "need --rule"),
        ({"rule": "health_low", "fires": ("60:24",)}, "the clear level must be stricter than every tier"),
        ({"rule": "disengaging", "fires": ("70:24",)}, "70 is no risk"),
        ({"rule": "health_low", "fires": ("nan:24",)}, "nan is no health"),
        ({"rule": "health_low", "fires": ("45:24", "40:24", "25:6")}, "needs 1 to 2 tiers"),
        ({"rule": "health_low", "fires": ("40",)}, "'40' is no LEVEL:HOURS such as 40:24"),
        ({"rule": "health_low", "fires": ("40:inf",)}, "'40:inf' is no LEVEL:HOURS"),
    ],
)
def test_levels_that_cannot_be_tried_are_refused_with_the_reason(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        tried(**change)

    assert reason in refused.value.message


@pytest.mark.parametrize(
    "text", ['{"cadence_days": 7, "weights": {"growth": 10}}', "cadence_days: 7\nweights: {growth: 10}\n"]
)
def test_a_profile_is_read_from_json_and_yaml(tmp_path: Path, text: str) -> None:
    found = read_candidates(written(tmp_path, text)).of_all

    assert found == Profile(version="what-if", cadence_days=7, weights=Weights(growth=10))


def test_a_version_that_would_begin_later_is_tried_from_the_beginning(tmp_path: Path) -> None:
    found = read_candidates(written(tmp_path, "version: v2\neffective_from: 2030-01-01T00:00:00Z\n")).of_all

    assert found is not None
    assert (found.version, found.effective_from) == ("v2", None)


def test_a_file_of_programmes_is_taken_as_it_is_and_their_newest_versions_are_tried(tmp_path: Path) -> None:
    sample = files("deploy.local") / "sample" / "programme.yaml"
    two = "[{id: a, tenant: t, profiles: [{version: a-1}]}, {id: b, tenant: t}]"

    spring = read_candidates(Path(str(sample)))
    found = read_candidates(written(tmp_path, two))

    assert spring.of_all is None
    assert {name: profile.version for name, profile in spring.of_program.items()} == {"acme/spring": "spring-2"}
    assert spring.of_program["acme/spring"].effective_from is None
    assert {name: profile.version for name, profile in found.of_program.items()} == {"t/a": "a-1", "t/b": "default-1"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cadence: 7", "cadence: Extra inputs are not permitted"),
        ("weights: {rhythm: -1}", "weights.rhythm: Input should be greater than or equal to 0"),
        ("cadence_days: often", "cadence_days: Input should be a valid number"),
        ("cadence_days: 7\ncadence_days: 8", "'cadence_days' appears twice"),
        ("[1, 2]", "a profile, or a programme, is one mapping of names to values"),
        ("", "a profile, or a programme, is one mapping of names to values"),
        ("a: [", "while parsing"),
        ("[" * 5_000 + "]" * 5_000, "is nested too deeply"),
        ("cadence_days: 7\n---\ncadence_days: 8\n", "one profile can be tried at a time"),
        ("id: p\ntenant: t\nprofiles: [{version: a}, {version: b}]", "every version after the first needs"),
        ("cadence_days: .nan", "Input should be"),
        ("calibration: !!binary aGk=", "bytes is not JSON serializable"),
    ],
)
def test_a_file_that_holds_no_profile_is_refused_with_place_and_reason(tmp_path: Path, text: str, reason: str) -> None:
    file = written(tmp_path, text)

    with pytest.raises(ProfileFileError) as refused:
        read_candidates(file)

    assert str(file) in str(refused.value)
    assert reason in str(refused.value)


def compared(
    candidate: Profile, *events: OfRelationship, rules: tuple[Rule, ...] = LEVELLED_RULES
) -> list[RuleComparison]:
    return compare("t/r", history(*events), DEFAULT, question(candidate, rules))


def question(candidate: Profile, rules: tuple[Rule, ...] = (HEALTH_LOW,)) -> TrialQuestion:
    return TrialQuestion(Candidates(candidate), rules, TrialSpan(micros(0), micros(84)))


def history(*events: OfRelationship) -> FullHistory:
    found = FullHistory()
    for position, event in enumerate(events):
        found.add(event, position)
    return found


def printed(candidate: Profile) -> str:
    out, found = io.StringIO(), compared(candidate, *SILENT, rules=(HEALTH_LOW,))
    report(Console(file=out, width=160, highlight=False), question(candidate), found)
    return out.getvalue()


def tried(rule: str | None = None, fires: tuple[str, ...] = (), clears: str | None = None) -> tuple[Rule, ...]:
    read = partial(
        LevelForHours().convert, param=click.Option(["--fires"]), ctx=click.Context(click.Command("what-if"))
    )
    return tried_rules(rule, list(map(read, fires)), read(clears) if clears else None)


def written(folder: Path, text: str) -> Path:
    file = folder / "profile.yaml"
    file.write_text(text)
    return file
