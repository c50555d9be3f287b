import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import DeliveryItem, Handling
from schemas.events import ClockReached, to_json
from schemas.payloads import KnownUntil
from schemas.primitives import to_micros
from schemas.programs import Programme, Source
from services.notify.domain.lifecycle import CORRECTED
from services.warehouse.domain.alerts import ACTS, ALERTS, DELIVERIES
from services.warehouse.domain.events import EVENTS
from services.warehouse.domain.programs import FIRST_YEAR, LAST_YEAR, PROGRAMS, transitions
from services.warehouse.domain.record import NotStored, Outcome, RecordMetadata, Refused, event_id
from services.warehouse.domain.rejected import REJECTED
from services.warehouse.domain.scores import HISTORY, REVISIONS
from services.warehouse.domain.tables import WarehouseTable
from services.warehouse.domain.target import (
    ALERT_LOG,
    EVENT_LOG,
    PROGRAM_TARGET,
    REJECTED_TARGET,
    SCORE_HISTORY,
    Target,
)
from tests.warehouse.samples import (
    NOON,
    alert,
    changed,
    clock_advanced,
    corrected,
    delivery,
    handled,
    held,
    row,
    started,
)

PLACE = RecordMetadata(partition=3, offset=17)


def read(target: Target, value: bytes) -> Outcome:
    return target.read(value, PLACE)


def columns(table: WarehouseTable, outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, tuple)
    [row] = [row for row in outcome if row.table == table.name]
    return dict(zip(table.columns, row.values, strict=True))


def test_an_event_becomes_a_row_of_its_month_with_its_whole_payload() -> None:
    outcome = read(EVENT_LOG, to_json(held()))

    assert isinstance(outcome, tuple)
    assert [(row.table, row.offset, row.month) for row in outcome] == [("mentoring.events", 17, 202403)]
    found = columns(EVENTS, outcome)
    assert (found["tenant_id"], found["program_id"], found["relationship_id"]) == ("acme", "spruce", "r-1")
    assert (found["type"], found["actor"], found["evidence"]) == ("mentoring.session.held.v1", "mentor", "observed")
    assert (found["session_id"], found["minutes"], found["goal_id"], found["tool"]) == ("s-1", 45.5, "", "")
    assert found["occurred_at"] == to_micros(NOON)
    assert json.loads(found["payload"])["started_at"] == "2024-03-31T12:00:00.123456Z"
    assert (found["log_partition"], found["log_offset"], found["position"]) == (3, 17, 17)


def test_of_two_copies_the_first_on_the_log_has_the_greater_version() -> None:
    first = columns(EVENTS, EVENT_LOG.read(to_json(held()), RecordMetadata(3, 17)))
    second = columns(EVENTS, EVENT_LOG.read(to_json(held()), RecordMetadata(3, 18)))

    assert first["version"] == second["version"] + 1 == 2**63 - 17
    assert first["event_id"] == second["event_id"] == event_id("acme", "zoom", held().id)


def test_the_id_of_an_event_stands_for_tenant_source_and_id() -> None:
    ids = {event_id("a", "b", "c"), event_id("a", "bc", ""), event_id("ab", "", "c"), event_id("x", "b", "c")}

    assert len(ids) == 4
    assert max(ids) < 2**128


def test_a_start_keeps_the_pseudonymous_keys_of_its_people_and_its_tool() -> None:
    found = columns(EVENTS, read(EVENT_LOG, to_json(started())))

    assert (found["people"], found["tool"]) == (("p-1", "p-2", "p-3"), "hris")


def test_the_clock_is_no_row() -> None:
    reached = ClockReached(
        source="rapport/import",
        id="c-1",
        type="mentoring.clock.reached.v1",
        time=NOON,
        recordedtime=NOON,
        tenant="acme",
        data=KnownUntil(time=NOON),
    )

    assert read(EVENT_LOG, to_json(reached)) == NotStored("clock")
    assert read(SCORE_HISTORY, to_json(clock_advanced())) == NotStored("clock")


def test_a_score_keeps_all_that_explains_it_in_whole_millionths() -> None:
    found = columns(HISTORY, read(SCORE_HISTORY, to_json(changed(row()))))

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
    live = columns(HISTORY, read(SCORE_HISTORY, to_json(changed(row(position=9)))))
    heal = columns(HISTORY, read(SCORE_HISTORY, to_json(corrected(row(position=9, mode="heal")))))

    assert (live["version"], heal["version"]) == (18, 19)
    assert heal["kind"] == "corrected"


def test_a_score_without_anything_before_and_without_a_trigger_has_neutral_values() -> None:
    scored = row(trigger=None)
    assert scored.score is not None
    first = scored.model_copy(update={"score": scored.score.model_copy(update={"before": None})})

    found = columns(HISTORY, read(SCORE_HISTORY, to_json(changed(first))))

    assert (found["before_band"], found["before_as_of"], found["before_health"]) == ("none", 0, 0)
    assert (found["trigger_type"], found["trigger_recorded"]) == ("", 0)


def test_a_deletion_is_a_row_that_deletes_its_instant() -> None:
    found = columns(HISTORY, read(SCORE_HISTORY, to_json(corrected(row(deleted=True)))))

    assert (found["is_deleted"], found["band"], found["status"], found["factors"]) == (1, "none", "none", {})
    assert found["as_of"] == to_micros(NOON)


def test_a_deletion_with_a_score_is_refused() -> None:
    both = row().model_copy(update={"deleted": True})

    assert read(SCORE_HISTORY, to_json(changed(both))) == Refused("score_and_deletion_disagree", "data.score")


def test_an_alert_keeps_its_reading_reasons_and_words() -> None:
    found = columns(ALERTS, read(ALERT_LOG, to_json(alert(not_sent="late_trigger"))))

    assert (found["rule"], found["urgency"], found["transition"], found["episode"]) == ("health_low", "P3", "fired", 1)
    assert (found["health"], found["risk"], found["last_contact"]) == (38_500_000, 500_000, 0)
    assert found["reasons"] == {"rhythm": -12_500_000}
    assert (found["trigger_id"], found["not_sent"]) == ("m-1", "late_trigger")


def test_an_alert_that_a_deadline_caused_has_no_trigger() -> None:
    found = columns(ALERTS, read(ALERT_LOG, to_json(alert(trigger=None))))

    assert (found["trigger_source"], found["trigger_id"], found["trigger_type"], found["not_sent"]) == ("", "", "", "")


def test_an_alert_of_a_programme_has_no_score_and_no_relationship() -> None:
    whole = alert(relationship="spruce", subject_kind="programme", reading=None)

    found = columns(ALERTS, read(ALERT_LOG, to_json(whole)))

    assert (found["relationship_id"], found["subject_kind"], found["subject"]) == ("", "programme", "spruce")
    assert (found["band"], found["health"], found["as_of"]) == ("none", 0, 0)


def test_an_action_on_an_alert_is_a_row_without_the_actor() -> None:
    ends = NOON + timedelta(days=3)
    held_by = Handling(state="acknowledged", by="p-9", assignee="p-9", until=ends)
    seen = handled(alert(), "acknowledge", NOON, handling=held_by)

    found = columns(ACTS, read(ALERT_LOG, to_json(seen)))

    assert (found["relationship_id"], found["subject_kind"], found["act"]) == ("r-1", "relationship", "acknowledge")
    assert (found["state"], found["until"], found["assigned"]) == ("acknowledged", to_micros(ends), True)
    assert (found["verdict"], found["closing"], found["refused"]) == ("", "", False)
    assert "p-9" not in map(str, found.values())


def test_the_subject_of_an_action_comes_from_the_key_of_its_record() -> None:
    whole = alert(relationship="spruce", subject_kind="source", reading=None)
    vote = handled(whole, "vote", NOON, verdict="useful", closing="acted", refused="the alert is closed")

    found = columns(ACTS, read(ALERT_LOG, to_json(vote)))

    assert (found["relationship_id"], found["subject_kind"], found["subject"]) == ("", "source", "spruce")
    assert (found["verdict"], found["closing"], found["refused"]) == ("useful", "acted", True)


def test_notify_withdraws_an_alert_with_the_reason_that_the_warehouse_expects() -> None:
    assert CORRECTED.startswith("corrected")


def test_every_version_of_a_score_is_kept_with_the_time_when_it_was_emitted() -> None:
    outcome = SCORE_HISTORY.read(to_json(changed(row())), RecordMetadata(3, 17, appended_ms=1_700_000_000_123))
    now, kept = columns(HISTORY, outcome), columns(REVISIONS, outcome)

    assert kept == now | {"emitted_at": 1_700_000_000_123_000}


def test_a_record_with_an_implausible_timestamp_was_emitted_at_the_beginning() -> None:
    for absurd in (-1, 2**62):
        outcome = SCORE_HISTORY.read(to_json(changed(row())), RecordMetadata(3, 17, appended_ms=absurd))

        assert columns(REVISIONS, outcome)["emitted_at"] == 0


def test_a_delivery_is_a_row_without_its_recipient() -> None:
    found = columns(DELIVERIES, read(ALERT_LOG, to_json(delivery())))

    assert (found["channel"], found["state"], found["rule"], found["urgency"]) == (
        "webhook",
        "delivered",
        "health_low",
        "P3",
    )
    assert (found["status"], found["latency_ms"], found["started_at"]) == ("HTTP 200", 250, 0)
    assert "example" not in str(found)


def test_a_message_has_a_row_for_every_alert_that_it_lists() -> None:
    items = tuple(
        DeliveryItem(program="spruce", relationship=pair, alert=alert(relationship=pair, rule=rule).data)
        for pair, rule in (("r-2", "health_low"), ("r-2", "no_contact"))
    )

    outcome = read(ALERT_LOG, to_json(delivery(items=items)))

    assert isinstance(outcome, tuple)
    rows = [dict(zip(DELIVERIES.columns, row.values, strict=True)) for row in outcome]
    assert [(row["item"], row["relationship_id"], row["rule"]) for row in rows] == [
        (0, "r-1", "health_low"),
        (1, "r-2", "health_low"),
        (2, "r-2", "no_contact"),
    ]
    assert len({tuple(row[name] for name in DELIVERIES.key) for row in rows}) == len(rows)


def test_only_the_protocol_status_of_a_response_is_kept() -> None:
    found = columns(DELIVERIES, read(ALERT_LOG, to_json(delivery(status="550 no such user ann@example.org"))))

    assert found["status"] == ""


@pytest.mark.parametrize(
    ("status", "kept"),
    [
        ("SMTP 250", "SMTP 250"),
        ("SMTP 550 5.1.1: no address takes mail", "SMTP 550 5.1.1"),
        ("SMTP 250, 1 of 3 addresses refused: SMTP 550 5.1.1", "SMTP 250"),
        ("HTTP 302: redirects are not followed", "HTTP 302"),
        ("HTTP 400 invalid_blocks", "HTTP 400"),
        ("timeout", "timeout"),
        ("SMTP 55012 ann@example.org", ""),
        ("ann@example.org HTTP 400", ""),
    ],
)
def test_what_comes_after_the_status_of_a_protocol_is_left_out(status: str, kept: str) -> None:
    assert columns(DELIVERIES, read(ALERT_LOG, to_json(delivery(status=status))))["status"] == kept


def test_what_the_schema_refuses_is_refused_with_reason_and_path_in_every_topic() -> None:
    for target in (EVENT_LOG, SCORE_HISTORY, ALERT_LOG):
        assert read(target, b"{") == Refused("json_invalid", "")

    wrong = to_json(held()).replace(b"45.5", b"-1")

    assert read(EVENT_LOG, wrong) == Refused("greater_than", "mentoring.session.held.v1.data.minutes")


def test_a_refusal_never_repeats_what_a_stranger_wrote() -> None:
    value = to_json(held()).replace(b'"session_id"', b'"Ann Example told me":"x","session_id"')

    assert read(EVENT_LOG, value) == Refused("extra_forbidden", "mentoring.session.held.v1.data.?")


def test_a_path_names_list_items_by_index() -> None:
    value = to_json(started()).replace(b'"p-3"', b"3")

    assert read(EVENT_LOG, value) == Refused("string_type", "mentoring.relationship.started.v1.data.mentees.1")


def test_a_rejected_input_is_a_row_of_our_own_words_and_never_of_its_bytes() -> None:
    notes = {"reason": "invalid", "path": "data.minutes.Ann Example", "tool": "zoom", "detail": "Ann Example"}
    headers = [(name, text.encode()) for name, text in notes.items()]
    place = RecordMetadata(0, 4, appended_ms=1_700_000_000_000, key=b"mentoring.raw.zoom/1/17#2", headers=headers)

    found = columns(REJECTED, REJECTED_TARGET.read(b"Ann Example", place))

    assert (found["origin_topic"], found["origin_partition"], found["origin_offset"], found["part"]) == (
        "mentoring.raw.zoom",
        1,
        17,
        2,
    )
    assert (found["reason"], found["path"], found["tool"], found["size"], found["requeued"]) == (
        "invalid",
        "data.minutes.?",
        "zoom",
        11,
        False,
    )
    assert "Ann" not in str(found)


@pytest.mark.parametrize("key", [b"", b"mentoring.raw.zoom/1", b"/etc/1/2", b"mentoring.raw.zoom/1/2#x", b"\xff"])
def test_a_rejection_without_an_origin_is_refused(key: bytes) -> None:
    assert REJECTED_TARGET.read(b"", RecordMetadata(0, 4, key=key)) == Refused("key")


def test_unknown_words_of_a_rejection_become_other() -> None:
    headers = (("reason", b"Ann <ann@example.org>"), ("tool", b"ann"), ("cut_from_bytes", b"2000000"))

    found = columns(
        REJECTED, REJECTED_TARGET.read(b"x", RecordMetadata(0, 4, key=b"mentoring.raw.zoom/1/17", headers=headers))
    )

    assert (found["reason"], found["tool"], found["size"], found["part"]) == ("other", "other", 2_000_000, 0)


def test_resending_a_rejected_input_adds_a_row_beside_it() -> None:
    place = RecordMetadata(0, 5, key=b"mentoring.raw.zoom/1/17", headers=(("requeued", b"2024-01-01T00:00:00Z"),))

    assert columns(REJECTED, REJECTED_TARGET.read(b"", place))["requeued"] is True


def programme(zone: str = "Europe/Berlin") -> Programme:
    return Programme(
        id="spruce",
        tenant="acme",
        time_zone=zone,
        coordinator="p-9",
        sources=(Source(source="zoom", interval_hours=24),),
        recordedtime=NOON,
    )


def test_a_programme_keeps_its_zone_as_offsets_and_what_is_expected_of_its_feeds() -> None:
    found = columns(PROGRAMS, PROGRAM_TARGET.read(programme().model_dump_json().encode(), RecordMetadata(0, 9)))

    assert (found["tenant_id"], found["program_id"], found["time_zone"], found["coordinator"]) == (
        "acme",
        "spruce",
        "Europe/Berlin",
        "p-9",
    )
    assert (found["expected_sources"], found["expected_hours"]) == (("zoom",), (24,))
    assert (found["version"], found["is_deleted"], len(found["offsets"])) == (9, 0, len(found["offsets_since"]))


def test_a_programme_without_a_value_is_withdrawn() -> None:
    found = columns(PROGRAMS, PROGRAM_TARGET.read(b"", RecordMetadata(0, 9, key=b"acme/spruce")))

    assert (found["tenant_id"], found["program_id"], found["is_deleted"]) == ("acme", "spruce", 1)
    assert PROGRAM_TARGET.read(b"", RecordMetadata(0, 9, key=b"spruce")) == Refused("key")
    assert isinstance(PROGRAM_TARGET.read(b"{", RecordMetadata(0, 9)), Refused)


ZONES = {
    zone: transitions(zone)
    for zone in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
}


@given(
    st.sampled_from(sorted(ZONES)),
    st.datetimes(datetime(FIRST_YEAR, 1, 1), datetime(LAST_YEAR, 12, 31)),  # noqa: DTZ001 (made aware below)
)
def test_offsets_are_those_of_the_zone_at_every_second(zone: str, naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)

    # As the marts look it up.
    _, offset = max(change for change in ZONES[zone] if change[0] <= moment.timestamp())

    assert moment.astimezone(ZoneInfo(zone)).utcoffset() == timedelta(seconds=offset)
