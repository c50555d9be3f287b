"""Admission of CloudEvents: validation, normalisation and the reasons of rejections."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.events import EVENT_TYPES
from schemas.models import models
from services.ingest.domain.admission import PAST_INSTANTS, Clock, admit
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Admitted, Rejected

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
WALL = Clock(NOW)
LOG = Clock(NOW, "log")
SCOPE = Scope("acme", frozenset({"urn:calendar", "urn:chat"}), frozenset({"onboarding"}))
ADMIN = Scope("acme", frozenset({"urn:calendar"}), admin=True)


def held(**changes: object) -> dict[str, Any]:
    event = {
        "specversion": "1.0",
        "source": "urn:calendar",
        "id": "e-1",
        "type": "mentoring.session.held.v1",
        "time": "2026-03-01T10:00:00Z",
        "subject": "rel-1",
        "program": "onboarding",
        "data": {"session_id": "s-1", "started_at": "2026-03-01T10:00:00Z", "minutes": 30},
    }
    return event | changes


def retracted(**target: object) -> dict[str, Any]:
    named = {
        "source": "urn:chat",
        "id": "m-1",
        "type": "mentoring.message.sent.v1",
        "time": "2026-03-01T10:00:00Z",
    }
    return held(type="mentoring.event.retracted.v1", data=named | target)


def reached(**changes: object) -> dict[str, Any]:
    event = {
        "specversion": "1.0",
        "source": "urn:calendar",
        "id": "any",
        "type": "mentoring.clock.reached.v1",
        "time": "2026-03-01T10:00:00Z",
        "data": {"time": "2026-03-01T00:00:00Z"},
    }
    return event | changes


def refusal(raw: object, scope: Scope = SCOPE, clock: Clock = WALL) -> tuple[str, list[tuple[str, str]]]:
    verdict = admit(raw, scope, clock)
    assert isinstance(verdict, Rejected)
    return verdict.reason, [(error.path, error.reason) for error in verdict.errors]


def admitted(raw: object, scope: Scope = SCOPE, clock: Clock = WALL) -> Any:  # noqa: ANN401 (each test knows its type)
    verdict = admit(raw, scope, clock)
    assert isinstance(verdict, Admitted), verdict
    return verdict.event


def test_what_the_sender_left_out_is_completed() -> None:
    event = admitted(held())

    assert (event.tenant, event.partitionkey, event.recordedtime) == ("acme", "acme/rel-1", NOW)


def test_recordedtime_is_ours_whatever_the_sender_says() -> None:
    assert admitted(held(recordedtime="2001-01-01T00:00:00Z")).recordedtime == NOW
    assert admitted(held(recordedtime="nonsense")).recordedtime == NOW


def test_on_the_clock_of_the_log_an_event_is_recorded_when_it_happened() -> None:
    event = admitted(held(), clock=LOG)

    assert event.recordedtime == event.time == datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_an_attribute_of_null_means_unset() -> None:
    assert admitted(held(tenant=None, partitionkey=None, dataschema=None, foreign=None)).tenant == "acme"


def test_tenant_and_partitionkey_may_be_said_if_they_are_right() -> None:
    assert admitted(held(tenant="acme", partitionkey="acme/rel-1")).partitionkey == "acme/rel-1"


def test_a_correlationid_is_kept() -> None:
    assert admitted(held(correlationid="c-1")).correlationid == "c-1"


@pytest.mark.parametrize(("raw", "kind"), [([], "an array"), ("text", "a single value"), (None, "a single value")])
def test_an_event_is_an_object(raw: object, kind: str) -> None:
    assert refusal(raw) == ("malformed", [("", f"an event is a JSON object, not {kind}")])


def test_a_wrong_value_is_told_with_its_path() -> None:
    raw = held(data={"session_id": "s-1", "started_at": "2026-03-01T10:00:00Z", "minutes": "thirty"})

    assert refusal(raw) == ("invalid", [("data.minutes", "Input should be a valid number")])


def test_every_fault_of_an_event_is_told_once() -> None:
    raw = held(subject=None, correlationId=1, time="yesterday")

    reason, faults = refusal(raw)

    assert reason == "invalid"
    assert [path for path, _ in faults] == ["time", "subject", "correlationId"]
    assert ("subject", "is required") in faults
    assert ("correlationId", "is not known here; did you mean correlationid?") in faults


def test_a_subject_that_is_too_long_is_one_fault() -> None:
    _, faults = refusal(held(subject="r" * 500))

    assert [path for path, _ in faults] == ["subject"]


def test_a_rule_across_fields_is_told_in_words() -> None:
    raw = held(
        type="mentoring.session.scheduled.v1",
        data={"session_id": "s", "starts_at": "2026-03-01T10:00:00Z", "ends_at": "2026-03-01T10:00:00Z"},
    )

    assert refusal(raw) == ("invalid", [("data", "ends_at must be after starts_at")])


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0500-01-01T00:00:00Z"])
def test_a_time_at_the_edge_of_the_calendar_is_invalid(time: str) -> None:
    assert refusal(held(time=time)) == ("invalid", [("time", "must lie in the years 1971 to 2199")])


def test_an_enormous_number_is_invalid() -> None:
    raw = held(data={"session_id": "s-1", "started_at": "2026-03-01T10:00:00Z", "minutes": 10**400})

    assert refusal(raw)[0] == "invalid"


def test_nesting_without_end_is_refused() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]

    assert refusal(held(data=nested)) == ("malformed", [("", "is nested too deeply")])


def test_deep_nesting_within_the_parser_s_reach_is_refused_too() -> None:
    nested: list[Any] = []
    for _ in range(300):
        nested = [nested]

    assert refusal(held(data=nested)) == ("invalid", [("", "is nested too deeply")])


def test_a_missing_type_is_required() -> None:
    assert refusal(held(type=None)) == ("invalid", [("type", "is required")])


def test_a_type_is_text() -> None:
    assert refusal(held(type=3)) == ("invalid", [("type", "Input should be a valid string")])


def test_an_unknown_type_is_answered_with_its_neighbours() -> None:
    reason, ((path, words),) = refusal(held(type="mentoring.session.hold.v1"))

    assert (reason, path) == ("unknown_type", "type")
    assert "did you mean mentoring.session.held.v1" in words


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_a_slip_in_a_name_finds_it(name: str) -> None:
    assert name in refusal(held(type=f"{name}x"))[1][0][1]


def test_a_short_name_finds_its_type() -> None:
    assert "mentoring.session.held.v1" in refusal(held(type="session.held"))[1][0][1]


def test_a_type_like_no_other_is_answered_with_the_form() -> None:
    assert refusal(held(type="x" * 10_000))[1][0][1].endswith("the types are mentoring.<thing>.<verb>.v1")


@pytest.mark.parametrize(
    "name", ["score.changed", "score.corrected", "alert.changed", "delivery.changed", "clock.advanced", "score.new"]
)
def test_types_that_only_we_write_are_forbidden(name: str) -> None:
    assert refusal(held(type=f"mentoring.{name}.v1"), ADMIN)[0] == "forbidden"


def test_erasure_needs_an_administrator() -> None:
    raw = held(type="mentoring.relationship.erased.v1", data={})

    assert refusal(raw)[0] == "forbidden"
    assert admitted(raw, ADMIN).type == "mentoring.relationship.erased.v1"


def test_a_foreign_tenant_is_forbidden() -> None:
    assert refusal(held(tenant="globex")) == ("forbidden", [("tenant", "this sender speaks for 'acme' only")])


def test_a_foreign_source_is_forbidden() -> None:
    assert refusal(held(source="urn:other"))[1][0][0] == "source"


def test_a_foreign_programme_is_forbidden_unless_every_programme_is_allowed() -> None:
    assert refusal(held(program="leaders"))[1][0][0] == "program"
    assert admitted(held(program="leaders"), ADMIN).program == "leaders"


@pytest.mark.parametrize(("belongs", "verdict"), [("leaders", Rejected), ("onboarding", Admitted), (None, Admitted)])
def test_a_relationship_of_another_programme_is_out_of_reach_whatever_the_event_calls_its_programme(
    belongs: str | None, verdict: type
) -> None:
    found = admit(held(), SCOPE, WALL, lambda *_: belongs)

    assert isinstance(found, verdict)
    if isinstance(found, Rejected):
        assert (found.reason, found.errors[0].path) == ("forbidden", "subject")


def test_a_start_of_what_another_programme_has_started_is_a_conflict_that_says_what_to_do() -> None:
    start = held(type="mentoring.relationship.started.v1", data={"mentors": ["ada"], "mentees": ["ben"]})

    found = admit(start, SCOPE, WALL, lambda *_: "leaders")

    assert isinstance(found, Rejected)
    assert (found.reason, found.errors[0].path) == ("conflict", "subject")
    assert "another id" in found.errors[0].reason
    assert "administrator" in found.errors[0].reason
    assert "leaders" not in found.errors[0].reason
    assert isinstance(admit(start, SCOPE, WALL, lambda *_: "onboarding"), Admitted)


def test_whoever_speaks_for_every_programme_is_not_asked_for_one() -> None:
    unlimited = Scope("acme", frozenset({"urn:calendar"}))

    assert isinstance(admit(held(program="onboarding"), unlimited, WALL, lambda *_: "leaders"), Admitted)


def test_a_wrong_partitionkey_is_invalid() -> None:
    assert refusal(held(partitionkey="acme/rel-2"))[:1] == ("invalid",)


def test_a_retraction_reaches_the_sender_s_own_sources_only() -> None:
    assert admitted(retracted()).data.source == "urn:chat"
    assert refusal(retracted(source="urn:other"))[1][0][0] == "data.source"


def test_five_minutes_ahead_are_tolerated_and_not_a_microsecond_more() -> None:
    latest = NOW + timedelta(minutes=5)

    assert admitted(held(time=latest.isoformat())).time == latest
    assert refusal(held(time=(latest + timedelta(microseconds=1)).isoformat()))[0] == "future"


def test_what_has_been_is_judged_as_time_is_and_what_is_planned_is_not() -> None:
    data = held()["data"]
    booked = {"session_id": "s-1", "starts_at": "2027-03-03T00:00:00Z", "ends_at": "2027-03-03T01:00:00Z"}

    assert refusal(held(data=data | {"started_at": "2027-03-01T10:00:00Z"})) == (
        "future",
        [("data.started_at", "lies in the future")],
    )
    assert isinstance(admit(held(type="mentoring.session.scheduled.v1", data=booked), SCOPE, WALL), Admitted)


def test_of_every_time_in_data_it_is_decided_whether_it_may_lie_ahead() -> None:
    ahead = {"starts_at", "ends_at", "from", "until"}
    past = {name for names in PAST_INSTANTS.values() for name in names}

    for name in EVENT_TYPES:
        schema = models()[name.removeprefix("mentoring.")].model_json_schema(by_alias=True)
        data = schema["$defs"][schema["properties"]["data"]["$ref"].rpartition("/")[2]]
        times = {field for field, inner in data["properties"].items() if "date-time" in json.dumps(inner)}
        assert times <= ahead | past, name


def test_the_future_is_refused_on_the_clock_of_the_log_too() -> None:
    assert refusal(held(time="2026-03-03T00:00:00Z"), clock=LOG)[0] == "future"


def test_what_has_not_happened_cannot_be_retracted() -> None:
    assert refusal(retracted(time="2026-03-03T00:00:00Z")) == ("future", [("data.time", "lies in the future")])


def test_the_clock_of_the_log_is_told_by_an_administrator() -> None:
    event = admitted(reached(), ADMIN, LOG)

    assert event.id == "clock-reached-2026-03-01T00:00:00.000000Z"
    assert event.time == event.recordedtime == event.data.time == datetime(2026, 3, 1, tzinfo=UTC)


def test_nobody_tells_the_clock_of_the_wall() -> None:
    assert refusal(reached(), ADMIN, WALL)[0] == "invalid"
    assert refusal(reached(), SCOPE, LOG)[0] == "forbidden"


def test_the_clock_of_the_log_never_runs_ahead_of_the_world() -> None:
    assert refusal(reached(data={"time": "2026-03-03T00:00:00Z"}), ADMIN, LOG)[0] == "future"
