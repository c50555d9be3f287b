import json
from datetime import timedelta
from typing import Any

from schemas.alerts import Delivery, DeliveryChanged
from schemas.events import ClockReached, to_json
from schemas.payloads import ClockReached as Reached
from schemas.primitives import to_micros
from services.warehouse.domain.record import Ignored, Outcome, Place, Refused, Row, event_id
from services.warehouse.domain.target import ALERT_LOG, EVENT_LOG, SCORE_HISTORY, Target
from tests.warehouse.samples import NOON, alert, changed, clock_advanced, corrected, envelope, held, row, started

PLACE = Place(partition=3, offset=17)


def read(target: Target, value: bytes) -> Outcome:
    return target.read(value, PLACE)


def columns(target: Target, outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Row)
    return dict(zip(target.columns, outcome.values, strict=True))


def test_an_event_becomes_a_row_of_its_month_with_its_whole_payload() -> None:
    outcome = read(EVENT_LOG, to_json(held()))

    assert isinstance(outcome, Row)
    assert (outcome.offset, outcome.month) == (17, 202403)
    found = columns(EVENT_LOG, outcome)
    assert (found["tenant_id"], found["program_id"], found["relationship_id"]) == ("acme", "spruce", "r-1")
    assert (found["type"], found["actor"], found["evidence"]) == ("mentoring.session.held.v1", "mentor", "observed")
    assert (found["session_id"], found["minutes"], found["goal_id"], found["tool"]) == ("s-1", 45.5, "", "")
    assert found["occurred_at"] == to_micros(NOON)
    assert json.loads(found["payload"])["started_at"] == "2024-03-31T12:00:00.123456Z"
    assert (found["log_partition"], found["log_offset"], found["position"]) == (3, 17, 17)


def test_of_two_copies_the_first_on_the_log_has_the_greater_version() -> None:
    first = columns(EVENT_LOG, EVENT_LOG.read(to_json(held()), Place(3, 17)))
    second = columns(EVENT_LOG, EVENT_LOG.read(to_json(held()), Place(3, 18)))

    assert first["version"] == second["version"] + 1 == 2**63 - 17
    assert first["event_id"] == second["event_id"] == event_id("acme", "zoom", held().id)


def test_the_id_of_an_event_stands_for_tenant_source_and_id() -> None:
    ids = {event_id("a", "b", "c"), event_id("a", "bc", ""), event_id("ab", "", "c"), event_id("x", "b", "c")}

    assert len(ids) == 4
    assert max(ids) < 2**128


def test_a_start_keeps_the_pseudonymous_keys_of_its_people_and_its_tool() -> None:
    found = columns(EVENT_LOG, read(EVENT_LOG, to_json(started())))

    assert (found["people"], found["tool"]) == (("p-1", "p-2", "p-3"), "hris")


def test_the_clock_is_no_row() -> None:
    reached = ClockReached(
        source="rapport/import",
        id="c-1",
        type="mentoring.clock.reached.v1",
        time=NOON,
        recordedtime=NOON,
        tenant="acme",
        data=Reached(time=NOON),
    )

    assert read(EVENT_LOG, to_json(reached)) == Ignored("clock")
    assert read(SCORE_HISTORY, to_json(clock_advanced())) == Ignored("clock")


def test_a_score_keeps_all_that_explains_it_in_whole_millionths() -> None:
    found = columns(SCORE_HISTORY, read(SCORE_HISTORY, to_json(changed(row()))))

    assert (found["health"], found["band"], found["risk"]) == (62_500_000, "steady", 250_000)
    assert found["factors"] == {"rhythm": 66_750_000, "silence": -4_250_000}
    assert sum(found["factors"].values()) == found["health"]
    assert found["deltas"] == {"rhythm": -1_500_000, "silence": 0}
    assert found["factor_values"] == {"rhythm": 750_000, "silence": 500_000}
    assert found["weights"] == {"rhythm": 25_000_000, "silence": 0}
    assert found["risk_terms"] == {"base": 500_000, "silence": -1_250_000}
    assert (found["before_health"], found["before_band"], found["before_risk"]) == (64_000_000, "steady", 200_000)
    assert found["before_as_of"] == to_micros(NOON - timedelta(days=1))
    assert (found["confidence"], found["trend"], found["cadence_days"]) == (400_000, -3_250_000, 14_500_000)
    assert (found["causes"], found["open_requests"], found["sources"]) == (
        ("fact", "midnight"),
        ("q-1",),
        ("zoom", "slack"),
    )
    assert (found["next_session"], found["last_contact"]) == (0, to_micros(NOON - timedelta(days=3)))
    assert (found["trigger_source"], found["trigger_id"], found["trigger_time"]) == ("zoom", "m-1", to_micros(NOON))
    assert (found["kind"], found["mode"], found["is_deleted"]) == ("changed", "live", 0)


def test_the_version_of_a_score_is_its_position_and_healing_wins_a_tie() -> None:
    live = columns(SCORE_HISTORY, read(SCORE_HISTORY, to_json(changed(row(position=9)))))
    heal = columns(SCORE_HISTORY, read(SCORE_HISTORY, to_json(corrected(row(position=9, mode="heal")))))

    assert (live["version"], heal["version"]) == (18, 19)
    assert heal["kind"] == "corrected"


def test_a_score_without_anything_before_and_without_a_trigger_has_neutral_values() -> None:
    scored = row(trigger=None)
    assert scored.score is not None
    first = scored.model_copy(update={"score": scored.score.model_copy(update={"before": None})})

    found = columns(SCORE_HISTORY, read(SCORE_HISTORY, to_json(changed(first))))

    assert (found["before_band"], found["before_as_of"], found["before_health"]) == ("none", 0, 0)
    assert (found["trigger_type"], found["trigger_recorded"]) == ("", 0)


def test_a_deletion_is_a_row_that_takes_its_instant_away() -> None:
    found = columns(SCORE_HISTORY, read(SCORE_HISTORY, to_json(corrected(row(deleted=True)))))

    assert (found["is_deleted"], found["band"], found["status"], found["factors"]) == (1, "none", "none", {})
    assert found["as_of"] == to_micros(NOON)


def test_a_deletion_with_a_score_is_refused() -> None:
    both = row().model_copy(update={"deleted": True})

    assert read(SCORE_HISTORY, to_json(changed(both))) == Refused("score_and_deletion_disagree", "data.score")


def test_an_alert_keeps_its_reading_reasons_and_words() -> None:
    found = columns(ALERT_LOG, read(ALERT_LOG, to_json(alert(not_sent="late_trigger"))))

    assert (found["rule"], found["urgency"], found["transition"], found["episode"]) == ("health_low", "P3", "fired", 1)
    assert (found["health"], found["risk"], found["last_contact"]) == (38_500_000, 500_000, 0)
    assert found["reasons"] == {"rhythm": -12_500_000}
    assert (found["trigger_id"], found["not_sent"]) == ("m-1", "late_trigger")


def test_an_alert_that_a_deadline_brought_about_has_no_trigger() -> None:
    found = columns(ALERT_LOG, read(ALERT_LOG, to_json(alert(trigger=None))))

    assert (found["trigger_source"], found["trigger_id"], found["trigger_type"], found["not_sent"]) == ("", "", "", "")


def test_a_delivery_is_not_for_the_table_of_alerts() -> None:
    told = alert().data
    delivery = Delivery(
        delivery_id="b" * 64,
        dedup_key=told.dedup_key,
        transition="fired",
        channel="log",
        recipient="log",
        state="delivered",
        attempt=1,
        planned_at=NOON,
        due_at=NOON,
        changed_at=NOON,
        alert=told,
        tenant="acme",
        program="spruce",
        relationship="r-1",
    )
    event = DeliveryChanged(**envelope("delivery.changed", NOON, "r-1"), data=delivery)

    assert read(ALERT_LOG, to_json(event)) == Ignored("delivery")


def test_what_the_schema_refuses_is_refused_with_reason_and_path_in_every_topic() -> None:
    for target in (EVENT_LOG, SCORE_HISTORY, ALERT_LOG):
        assert read(target, b"{") == Refused("json_invalid", "")

    wrong = to_json(held()).replace(b"45.5", b"-1")

    assert read(EVENT_LOG, wrong) == Refused("greater_than", "mentoring.session.held.v1.data.minutes")


def test_a_refusal_never_repeats_what_a_stranger_wrote() -> None:
    value = to_json(held()).replace(b'"session_id"', b'"Ann Example told me":"x","session_id"')

    assert read(EVENT_LOG, value) == Refused("extra_forbidden", "mentoring.session.held.v1.data.?")


def test_a_path_names_places_in_a_list_by_number() -> None:
    value = to_json(started()).replace(b'"p-3"', b"3")

    assert read(EVENT_LOG, value) == Refused("string_type", "mentoring.relationship.started.v1.data.mentees.1")
