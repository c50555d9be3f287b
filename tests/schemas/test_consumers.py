"""The golden examples as the services read them: services meet in topics, and here."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.alerts import AlertEvent, Delivery
from schemas.events import EVENT_TYPES, MentoringEvent, to_json
from schemas.programs import Programme
from schemas.rules import RULES
from schemas.scores import ScoreEvent
from schemas.tokens import Token
from schemas.topics import ALERTS, EVENTS, SCORES, Topic
from services.ingest.commands.programs import read_programs
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Admitted, Rejected
from services.ingest.gateway.events_endpoint import scope_of
from services.notify.domain.evaluation import Evaluator
from services.notify.domain.outbox import Outbox, SendingPace
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.rendering.machines import WebhookMessage, body
from services.scoring.domain.facts import KIND_OF_TYPE, facts_of
from services.warehouse.domain.record import NotStored, Place
from services.warehouse.domain.target import TABLES, feed_of
from tests.schemas.golden import example, named, read, value

CATALOGUE = named(MentoringEvent)
OURS = "program.profile_set.v1"
OF_RELATIONSHIP = [name for name in CATALOGUE if name not in {"clock.reached.v1", OURS}]
SCORED = {name.removeprefix("mentoring.") for name in KIND_OF_TYPE}
AFTER_ALL = Clock(datetime(2027, 1, 1, tzinfo=UTC), "log")


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name != OURS])
def test_ingest_admits_it_and_changes_nothing_but_when_it_was_recorded(name: str) -> None:
    given = example(name)
    scope = Scope("acme", frozenset({given["source"]}), frozenset({"spruce"}), admin=True)

    verdict = admit(given, scope, AFTER_ALL)

    assert isinstance(verdict, Admitted)
    assert json.loads(to_json(verdict.event)) == given | {"recordedtime": given["time"]}


def test_ingest_lets_nobody_set_profiles_but_the_command_that_checks_them() -> None:
    given = example(OURS)
    scope = Scope("acme", frozenset({given["source"]}), admin=True, internal=True)

    verdict = admit(given, scope, AFTER_ALL)

    assert isinstance(verdict, Rejected)
    assert [problem.reason for problem in verdict.errors] == ["only Rapport itself writes this type"]


def test_ingest_lets_the_token_speak_for_its_sources() -> None:
    token: Any = read("token")
    assert isinstance(token, Token)

    verdict = admit(example("session.held.v1"), scope_of(token), AFTER_ALL)

    assert isinstance(verdict, Admitted)


def test_ingest_reads_the_programme_from_a_file(tmp_path: Path) -> None:
    programme: Any = read("programme")
    assert isinstance(programme, Programme)
    file = tmp_path / "spruce.json"
    file.write_bytes(value("programme"))

    found = read_programs(file, programme.recordedtime)

    assert found == [programme]


@pytest.mark.parametrize("name", OF_RELATIONSHIP)
def test_scoring_takes_a_fact_or_a_mark_from_what_it_scores_and_nothing_else(name: str) -> None:
    event: Any = read(name)

    facts = facts_of(event, position=7)

    assert len(facts) == (name in SCORED | {"event.retracted.v1"})


def test_scoring_finds_the_fact_that_the_retraction_names() -> None:
    retraction: Any = read("event.retracted.v1")
    missed: Any = read("session.missed.v1")

    assert facts_of(retraction, position=8).keys() == facts_of(missed, position=7).keys()


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        *((EVENTS, name) for name in CATALOGUE),
        *((SCORES, name) for name in named(ScoreEvent)),
        *((ALERTS, name) for name in named(AlertEvent)),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_the_warehouse_makes_a_row_of_it_or_says_why_not(topic: Topic, name: str) -> None:
    target = feed_of(0).targets[topic.name]
    no_row = {OURS: "profiles"}
    no_row |= dict.fromkeys(("clock.reached.v1", "clock.advanced.v1"), "clock")

    outcome = target.read(value(name), Place(partition=3, offset=42))

    if name in no_row:
        assert outcome == NotStored(no_row[name])
    else:
        assert isinstance(outcome, tuple)
        assert [len(row.values) for row in outcome] == [len(TABLES[row.table].columns) for row in outcome]


def test_notify_watches_the_pair_of_a_score_and_follows_the_clock() -> None:
    alerts = PartitionAlerts(Evaluator(RULES, "wall"), {}, None)
    changed, corrected, advanced = (
        read(name) for name in ("score.changed.v1", "score.corrected.v1", "clock.advanced.v1")
    )

    found = [one.transition for event in (changed, corrected, advanced) for one in alerts.take(event)]  # type: ignore[arg-type]

    assert [(one.rule.name, one.name) for one in found] == [("no_contact", "fired"), ("support_requested", "fired")]
    assert alerts.watches("acme/rel-4F2")
    assert alerts.clock == advanced.time  # type: ignore[attr-defined]


def test_notify_hands_out_the_delivery_when_it_is_due_and_says_what_the_alert_says() -> None:
    delivery: Any = read("delivery")
    assert isinstance(delivery, Delivery)
    outbox = Outbox(SendingPace(in_hands=1, most=1, span=timedelta(seconds=1)))
    outbox.add(delivery)

    handed = outbox.hand_out(delivery.due_at)
    message = WebhookMessage.model_validate_json(body(delivery, None))

    assert handed == [delivery]
    assert message.data.summary == delivery.alert.summary
    assert message.data.dedup_key == delivery.dedup_key


def test_every_type_of_the_catalogue_is_tried_here() -> None:
    assert {f"mentoring.{name}" for name in CATALOGUE if name != OURS} == set(EVENT_TYPES)
