"""JSON of HR systems: Workday, BambooHR, Personio, HiBob, SuccessFactors, Rippling and SCIM."""

import json
from datetime import date
from typing import Any

import pytest

from services.ingest.domain.verdict import Rejected
from services.ingest.sources.hr.records import CHANGE_ONLY, DELETED_RECORD
from services.ingest.sources.hr.tool import NO_STATE, TOOL
from tests.ingest.sources.redaction import redacted_by
from tests.ingest.sources.test_hr import configured, faults, kept, people, person, refusal, results

JSON = "application/json"
ADA = {"id": "p-ada", "name": "A B", "status": "active"}
WORKER = {"Employee_ID": "21001", "Legal_Name": "A B", "Active_Status": "1"}
USER = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "id": "2819c223",
    "userName": "ada@example.com",
    "displayName": "A B",
    "active": True,
}


def translations(*people_: object) -> Any:  # noqa: ANN401
    """Of each what becomes of it, and the same of what is kept of it."""
    body = json.dumps(people_)
    found = results(body, JSON)
    assert [
        TOOL.translate(redacted_by(TOOL, record, configured()), configured()) for record in kept(body, JSON)
    ] == found
    return found[0] if len(found) == 1 else found


@pytest.mark.parametrize(
    ("more", "status", "left_on"),
    [
        ({"On_Leave": "1", "First_Day_of_Leave": "2026-02-01"}, "leave", date(2026, 2, 1)),
        ({"On_Leave": True}, "leave", None),
        ({"On_Leave": "0", "First_Day_of_Leave": "2025-02-01"}, "active", None),
        ({"On_Leave": ""}, "active", None),
        ({"Terminated": False, "On_Leave": None}, "active", None),
        (
            {"Active_Status": "Terminated", "On_Leave": "1", "Termination_Date": "2026-01-31"},
            "exited",
            date(2026, 1, 31),
        ),
    ],
)
def test_who_is_employed_and_on_leave_is_on_leave(more: dict[str, object], status: str, left_on: date | None) -> None:
    (found,) = translations(WORKER | more)

    assert (found.status, found.left_on) == (status, left_on)


@pytest.mark.parametrize(
    ("more", "column"), [({"Terminated": True}, "Terminated"), ({"On_Leave": "perhaps"}, "On_Leave")]
)
def test_a_status_that_another_column_contradicts_is_refused(more: dict[str, object], column: str) -> None:
    found = translations(WORKER | more)

    assert isinstance(found, Rejected)
    assert found.errors[0].path == f"employee 1, column {column}"


@pytest.mark.parametrize(
    "body",
    [
        {
            "type": "employee.updated",
            "data": {"companyId": "12345", "employeeId": "67890", "changedFields": ["status"]},
        },
        {"type": "employee.left", "version": "v2", "data": {"employeeId": "3332883884017713938"}},
        {"topic": "employment.terminated", "data": {"id": "12", "person": {"id": "1"}}},
        {"companyid": "1", "employeeid": "2"},
        {"d": {"results": [{"userId": "103", "endDate": "/Date(1795132800000)/", "emplStatus": "5602"}]}},
    ],
    ids=["BambooHR", "HiBob", "Personio", "Paylocity", "SuccessFactors"],
)
def test_who_is_named_by_an_id_alone_is_refused_with_what_to_do(body: object) -> None:
    (found,) = results(json.dumps(body), JSON)

    assert (found.errors[0].path, found.errors[0].reason) == ("employee 1", NO_STATE)


@pytest.mark.parametrize(
    "body",
    [
        {"event_type": "person.updated", "data": {"person": {"id": "1"}}},
        {"event_type": "employee.terminated", "entity_uuid": "bcf", "timestamp": 1671058841},
        {"schemas": ["PatchOp"], "Operations": [{"op": "Replace", "path": "active", "value": "False"}]},
        {"id": "2819c223", "Operations": [{"op": "replace", "value": {"active": False}}]},
        {"Operations": [{"method": "POST", "path": "/Users", "data": USER}]},
    ],
    ids=["Personio", "Gusto", "PATCH", "PATCH with an id", "bulk"],
)
def test_a_change_that_is_no_person_is_refused_with_what_to_do(body: object) -> None:
    assert refusal(json.dumps(body), JSON).endswith(CHANGE_ONLY)


@pytest.mark.parametrize("more", [{"action": "Deleted"}, {"type": "employee.deleted"}, {"eventType": "delete"}])
def test_a_deleted_record_is_neither_an_exit_nor_active(
    more: dict[str, object],
) -> None:
    body = {"employees": [{"id": "123", "fields": {"firstName": "A", "lastName": "B", "status": "Active"}, **more}]}

    (found,) = results(json.dumps(body), JSON)

    assert found.errors[0].reason == DELETED_RECORD


@pytest.mark.parametrize(
    ("members", "addresses"),
    [
        ({"email": "a@example.com", "E-Mail": "b@example.com"}, ("a@example.com", "b@example.com")),
        ({"Email": "a@example.com", "email": ["b@example.com"]}, ("a@example.com", "b@example.com")),
        ({"email": "a@example.com", "E-Mail": ""}, ("a@example.com",)),
        ({"email": "a@example.com", "E-Mail": "a@example.com"}, ("a@example.com",)),
    ],
)
def test_somebody_with_two_addresses_under_names_that_are_alike_has_both(
    members: dict[str, object], addresses: tuple[str, ...]
) -> None:
    (found,) = translations(ADA | members)

    assert found.addresses == addresses


def test_two_columns_of_a_table_may_hold_two_addresses() -> None:
    (found,) = people("id,name,status,email,E-Mail\np-1,A,active,a@example.com,b@example.com\n")

    assert found.addresses == ("a@example.com", "b@example.com")


@pytest.mark.parametrize(
    ("person", "settings", "knows_leaves"),
    [
        (USER, {}, False),
        (WORKER, {}, False),
        (WORKER | {"On_Leave": "0"}, {}, True),
        (USER | {"leave_from": ""}, {}, True),
        (ADA, {}, True),
        (USER, {"statuses": {"false": "leave"}}, True),
    ],
)
def test_an_active_flag_does_not_exclude_a_leave(
    person: dict[str, object], settings: dict[str, object], *, knows_leaves: bool
) -> None:
    (found,) = people(json.dumps(person), JSON, **settings)

    assert ("leave" not in found.unsaid) == knows_leaves


LEFT = "id,name,status,terminated_on,time_zone"
VIENNA = "Europe/Vienna"


@pytest.mark.parametrize(
    ("written", "zone", "day"),
    [
        ("2026-10-31T00:00:00Z", "", date(2026, 10, 31)),
        ("2026-10-31T00:00:00.000+00:00", VIENNA, date(2026, 10, 31)),
        ("2026-10-31T00:00:00+01:00", "", date(2026, 10, 31)),
        ("2026-10-30T23:00:00.000Z", VIENNA, date(2026, 10, 31)),
        ("2026-07-30T22:00:00Z", VIENNA, date(2026, 7, 31)),
        ("2026-10-30T15:00:00Z", "Asia/Tokyo", date(2026, 10, 31)),
        ("2026-10-31T04:00:00Z", "America/New_York", date(2026, 10, 31)),
        ("2026-10-31 17:00:00Z", "", date(2026, 10, 31)),
        ("2026-10-31T23:59:59Z", VIENNA, date(2026, 10, 31)),
        ("2026-10-31T23:59:59.999Z", VIENNA, date(2026, 10, 31)),
        ("/Date(1793491199999)/", VIENNA, date(2026, 10, 31)),
        ("/Date(1793404800000)/", VIENNA, date(2026, 10, 31)),
        ("/Date(1793401200000)/", VIENNA, date(2026, 10, 31)),
    ],
)
def test_a_day_may_be_written_as_its_midnight_here_or_in_utc(written: str, zone: str, day: date) -> None:
    assert person(f"p-1,A,terminated,{written},{zone}", LEFT).left_on == day


@pytest.mark.parametrize("written", ["2026-10-30T23:00:00Z", "2026-07-30 22:00+00", "/Date(1793401200000)/"])
def test_a_midnight_of_nobody_knows_where_is_refused_until_a_zone_is_known(written: str) -> None:
    row = f"p-1,A,terminated,{written},"

    ((path, reason),) = faults(row, LEFT)
    (record,) = kept(f"{LEFT}\n{row}\n")

    assert (path, "settings.time_zone" in reason) == ("line 2, column terminated_on", True)
    assert TOOL.translate(record, configured()) == results(f"{LEFT}\n{row}\n")[0]
    assert person(row, LEFT, time_zone=VIENNA).left_on == date(2026, 7 if "-07-" in written else 10, 31)


@pytest.mark.parametrize("written", ["1.23457E+11", '"1,23457E+11"', "4.711E3", "4.7e+03"])
def test_an_id_of_which_a_table_has_left_digits_out_is_refused(written: str) -> None:
    table = f"id,name,status\n{written},A,active\n"

    ((path, reason),) = faults(f"{written},A,active", "id,name,status")
    (record,) = kept(table)

    assert (path, "left digits out" in reason) == ("line 2, column id", True)
    assert TOOL.translate(redacted_by(TOOL, record, configured()), configured()) == results(table)[0]


@pytest.mark.parametrize(
    ("row", "is_refused"),
    [
        ("p-1,A,active,2026-02-01,2026-03-31", True),
        ("p-1,A,active,2026-03-02,2026-03-31", False),
        ("p-1,A,active,2025-02-01,2025-03-31", False),
        ("p-1,A,active,2026-02-01,", False),
        ("p-1,A,leave,2026-02-01,2026-03-31", False),
    ],
)
def test_who_is_active_and_on_a_leave_that_is_not_over_is_refused(row: str, *, is_refused: bool) -> None:
    (found,) = results(f"id,name,status,leave_from,leave_until\n{row}\n")

    assert isinstance(found, Rejected) == is_refused
    if isinstance(found, Rejected):
        assert found.errors[0].path == "line 2, column leave_from"


@pytest.mark.parametrize(
    ("zone", "row", "is_refused"),
    [
        # The feed is received at noon in UTC: in Kiritimati it is the next day, in Niue an hour to midnight.
        ("Pacific/Kiritimati", "p-1,A,active,2026-02-01,2026-03-01", False),
        ("Pacific/Kiritimati", "p-1,A,active,2026-03-02,2026-03-31", True),
        ("Pacific/Niue", "p-1,A,active,2026-02-01,2026-03-01", True),
    ],
)
def test_whether_a_leave_is_over_is_asked_of_the_day_where_the_person_is(
    zone: str, row: str, *, is_refused: bool
) -> None:
    (found,) = results(f"id,name,status,leave_from,leave_until,time_zone\n{row},{zone}\n")

    assert isinstance(found, Rejected) == is_refused


def test_people_of_other_languages_have_their_first_names_and_the_days_of_their_leave() -> None:
    rossi = person("12;Rossi;Ada;Attivo", "Matricola;Cognome;Nome;Stato")
    karenz = person("12;A;Karenz;01.10.2026;31.01.2027", "Personalnummer;Name;Status;Karenz ab;Karenz bis")

    assert rossi.name == "Ada Rossi"
    assert (karenz.left_on, karenz.back_on) == (date(2026, 10, 1), date(2027, 2, 1))
