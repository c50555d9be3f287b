"""What is written down of what happened, and what a person reads."""

import json
from datetime import timedelta
from typing import Any

import pytest

from schemas.alerts import ALERT_EVENT, Delivery, Reading
from schemas.events import to_json
from schemas.programs import CalibrationEvidence
from schemas.scores import Part, RiskTerm, Score
from services.notify.domain.decisions import alert_changed, delivery_changed, plan_deliveries
from services.notify.domain.evaluation import Transitioned
from services.notify.domain.ids import AlertSubject, Destination, alert_key, dedup_key, delivery_id, transition_id
from services.notify.domain.pipeline import FIRING_NOT_SENT
from services.notify.domain.wording import certainty, format_days, format_duration, format_instant, reasons
from services.notify.rendering.machines import fill_link, webhook_body
from tests.notify.building import (
    HOOK,
    DecisionSetup,
    Pair,
    apply_event,
    clock,
    day,
    decide_transition,
    hour,
    late_trigger,
    new_alerts,
    score,
)

LOG = Destination("log", "log")
PAIR = Pair()


def fired(pair: Pair = PAIR, **told: Any) -> Transitioned:  # noqa: ANN401
    return apply_event(new_alerts(), pair.changed(hour(0), **({"health": 38.0} | told)), clock(hour(30)))[0]


def delivery(pair: Pair = PAIR) -> Delivery:
    return plan_deliveries(alert_changed(fired(pair), day(9)), [HOOK])[0]


def test_ids_are_derived_from_what_they_name() -> None:
    pair = AlertSubject("acme", "relationship", "4F2", "spruce")
    key = alert_key(pair, "health_low")
    fired_again = transition_id("d", 3, "fired")

    assert key != alert_key(AlertSubject("acme", "relationship", "w4F2", "spruce"), "health_lo")
    assert key != alert_key(AlertSubject("acme", "programme", "4F2", "4F2"), "health_low")
    assert dedup_key(key, 3) == f"{key[:32]}-3"
    assert fired_again != transition_id("d", 1, "fired")
    assert delivery_id(fired_again, "log", "log") == delivery_id(fired_again, "log", "log")
    assert delivery_id(fired_again, "log", "log") != delivery_id(transition_id("d", 1, "fired"), "log", "log")


def test_subjects_that_are_no_relationship_have_keys_of_their_own() -> None:
    pair = AlertSubject("acme", "relationship", "spruce", "spruce")
    programme = AlertSubject("acme", "programme", "spruce", "spruce")

    assert (pair.key, programme.key) == ("acme/spruce", "acme/programme/spruce")


def test_an_alert_event_is_complete_and_reads_back_as_itself() -> None:
    event = alert_changed(fired(), day(9))

    assert ALERT_EVENT.validate_json(to_json(event)) == event
    assert event.id == f"{event.data.dedup_key}-1-fired"
    assert (event.time, event.recordedtime) == (hour(24), day(9))
    assert (event.tenant, event.program, event.subject, event.partitionkey) == ("acme", "spruce", "4F2", "acme/4F2")
    assert event.data.decided_at == day(9)
    assert event.data.trigger is None
    assert event.data.reading is not None
    assert event.data.reading.health == 38.0
    assert event.data.reading.as_of == hour(0)


def test_what_a_row_brought_about_names_its_trigger() -> None:
    trigger = late_trigger(day(0), day(3))
    events = (PAIR.corrected(day(0), health=30.0), PAIR.changed(day(3), health=30.0, trigger=trigger))

    event = alert_changed(apply_event(new_alerts(), *events)[0], day(9))

    assert event.data.trigger == trigger
    assert event.correlationid == trigger.id


def test_every_channel_gets_a_delivery_of_its_own() -> None:
    event = alert_changed(fired(), day(9))

    to_log, to_hook = plan_deliveries(event, [LOG, HOOK])

    assert (to_log.channel, to_hook.channel) == ("log", "webhook")
    assert to_log.delivery_id != to_hook.delivery_id
    assert to_hook.recipient == HOOK.recipient
    assert to_hook.state == "planned"
    assert to_hook.due_at == day(9)


def test_what_is_not_sent_has_no_delivery_and_says_why() -> None:
    alerts = new_alerts()
    transitioned = apply_event(
        alerts, PAIR.changed(day(0), health=30.0), clock(day(2)), PAIR.changed(day(3), health=90.0)
    )

    fired = decide_transition(alerts, transitioned[0], day(9), DecisionSetup(()))
    resolved = decide_transition(alerts, apply_event(alerts, clock(day(9)))[0], day(9))

    assert [one.event.data.not_sent for one in (fired, resolved)] == ["no destination is configured", FIRING_NOT_SENT]
    assert [one.deliveries for one in (fired, resolved)] == [(), ()]
    assert [one.outcome for one in fired.event.data.decisions] == ["passed", "passed", "stopped"]


def test_an_outcome_is_an_event_beside_its_alert() -> None:
    event = delivery_changed(delivery())

    assert ALERT_EVENT.validate_json(to_json(event)) == event
    assert event.partitionkey == "acme/4F2"
    assert event.causationid == f"{event.data.dedup_key}-1-fired"


def test_the_first_80_characters_stand_alone() -> None:
    assert alert_changed(fired(), day(9)).data.summary[:80] == (
        "spruce: pair 4F2 is strained: health 38 (P3), since 1 May 2024 00:00 UTC. Mostly"
    )


def test_long_ids_and_reasons_are_shortened_in_the_sentence_only() -> None:
    event = alert_changed(fired(Pair(relationship="r" * 128, program="p" * 128)), day(9))

    assert len(event.data.summary) <= 200
    assert event.data.summary.startswith(f"{'p' * 19}…: pair {'r' * 19}… is strained: health 38 (P3)")
    assert event.subject == "r" * 128


@pytest.mark.parametrize(
    ("told", "later", "sentences"),
    [
        ({"health": 38.0}, {"health": 20.0}, ["is strained: health 38 (P3)", "got worse: health 20 (P2)"]),
        ({"health": 38.0}, {"health": 60.0}, ["is strained: health 38 (P3)", "is better: health 60, after 4 days"]),
        ({"risk": 0.8}, {"risk": 0.2}, ["is going quiet: risk 0.80 (P2)", "is in touch again: risk 0.20"]),
        ({"risk": 0.8}, {"risk": 0.8, "status": "ended"}, ["is going quiet", "has ended, alert closed, after 2 days"]),
    ],
)
def test_every_transition_has_its_sentence(told: dict[str, Any], later: dict[str, Any], sentences: list[str]) -> None:
    transitioned = apply_event(
        new_alerts(), PAIR.changed(hour(0), **told), PAIR.changed(day(2), **later), clock(day(30))
    )

    alerts = [alert_changed(h, day(40)).data for h in transitioned]

    assert [words in alert.summary for alert, words in zip(alerts, sentences, strict=True)] == [True, True]
    assert all(alert.next_step for alert in alerts)


def test_health_is_explained_by_the_points_that_miss_from_100() -> None:
    parts = (
        Part(name="rhythm", value=0.25, weight=25, contribution=10.0, delta=0.0),
        Part(name="reliability", value=0.9, weight=20, contribution=30.0, delta=0.0),
        Part(name="mutual", value=1.0, weight=15, contribution=25.0, delta=0.0),
        Part(name="silence", value=0.3, weight=0, contribution=-20.0, delta=0.0),
    )

    found = reasons(score(health=45.0, parts=parts), day(70), "health")

    assert [(r.name, r.points) for r in found] == [("rhythm", -31.7), ("silence", -20.0), ("reliability", -3.3)]
    assert found[0].words == "no meeting for 42 days (agreed rhythm: every 14 days)"
    assert found[1].words == "no contact for 70 days (agreed rhythm: every 14 days)"


def test_risk_is_explained_by_the_terms_that_raise_it() -> None:
    terms = (
        RiskTerm(name="base", value=0.5),
        RiskTerm(name="silence", value=1.92),
        RiskTerm(name="pace", value=0.4),
        RiskTerm(name="of_tomorrow", value=0.1),
        RiskTerm(name="history", value=-2.0),
    )

    found = reasons(score(risk_terms=terms, last_contact=None), day(20), "risk")

    assert [(r.name, r.points) for r in found] == [("silence", 1.9), ("pace", 0.4), ("of_tomorrow", 0.1)]
    assert found[0].words == "no contact since the start, 20 days (agreed rhythm: every 14 days)"
    assert found[2].words == "of tomorrow"


@pytest.mark.parametrize(("value", "words"), [(0.0, "meetings have stopped"), (0.5, "no meeting for 28 days")])
def test_the_rhythm_is_given_in_days(value: float, words: str) -> None:
    parts = (Part(name="rhythm", value=value, weight=25, contribution=100 * value, delta=0.0),)

    assert words in reasons(score(parts=parts), day(1), "health")[0].words


def test_a_score_without_weights_still_has_words() -> None:
    silent: Score = score(parts=(Part(name="silence", value=0.3, weight=0, contribution=-20.0, delta=0.0),))

    assert [r.points for r in reasons(silent, day(50), "health")] == [-20.0]


def test_spans_and_instants_are_written_as_people_say_them() -> None:
    assert format_days(1.2) == "1 day"
    assert format_duration(timedelta(hours=47)) == "47 h"
    assert format_duration(timedelta(days=2)) == "2 days"
    assert format_instant(hour(0)) == "1 May 2024 00:00 UTC"


def test_the_message_is_the_same_bytes_for_the_same_delivery() -> None:
    sent = delivery()

    first = json.loads(webhook_body(sent, "https://pairs.example.org/{tenant}/{relationship}"))

    assert webhook_body(sent, None) == webhook_body(sent, None)
    assert first["type"] == "mentoring.alert.fired"
    assert first["timestamp"] == "2024-05-02T00:00:00.000000Z"
    assert first["data"]["links"] == {"relationship": "https://pairs.example.org/acme/4F2"}
    assert first["data"]["dedup_key"] == sent.dedup_key
    assert first["data"]["next_step"]
    assert first["data"]["how_sure"] == "confidence 0.60 of 1; risk uncalibrated: general defaults"
    assert json.loads(webhook_body(sent, None))["data"]["links"] == {}


def test_a_calibrated_score_says_on_how_many_cases_it_rests_and_how_far_off_it_was() -> None:
    reading = Reading(
        as_of=day(9),
        health=50,
        band="steady",
        risk=0.6,
        calibrated=True,
        evidence=CalibrationEvidence(cases=1840, judged=512, apart=0.031),
        confidence=0.6,
    )

    assert certainty(reading) == (
        "confidence 0.60 of 1; risk calibrated on 1840 cases of its own past; on 512 newer ones predicted and observed "
        "lay 0.03 apart"
    )


def test_a_calibrated_score_says_so() -> None:
    event = alert_changed(fired(calibrated=True), day(9))

    assert (
        "calibrated on this organisation's history"
        in json.loads(webhook_body(plan_deliveries(event, [HOOK])[0], None))["data"]["how_sure"]
    )


def test_a_link_may_name_what_it_knows_only() -> None:
    assert fill_link("{tenant}/{program}/{relationship}", "t", "p", "r") == "t/p/r"
    with pytest.raises(KeyError):
        fill_link("{person}", "t", "p", "r")
