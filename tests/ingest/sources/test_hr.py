"""HR directories: people as JSON and as CSV, row by row."""

import json
import time
import unicodedata
from base64 import b64encode
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.ingest.domain.activity import Employed
from services.ingest.domain.cloudevents import Parsed
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.hr.settings import HrSettings
from services.ingest.sources.hr.tool import TOOL
from services.ingest.sources.tool import RawPayloads, Received, Unverified, Verified
from tests.ingest.sources.mutation import mutated, translated
from tests.ingest.sources.redaction import PSEUDONYM, redacted_by

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CSV = "text/csv"
HEADER = "id,name,email,status,leave_from,leave_until,terminated_on"


def configured(**settings: Any) -> HrSettings:  # noqa: ANN401
    return HrSettings.model_validate(settings)


def taken(body: bytes | str, media_type: str = CSV, **settings: Any) -> RawPayloads | Rejected:  # noqa: ANN401
    content = body.encode() if isinstance(body, str) else body
    return TOOL.split(Received({"content-type": media_type}, content), configured(**settings), NOW)


def results(body: bytes | str, media_type: str = CSV, **settings: Any) -> list[Any]:  # noqa: ANN401
    """What becomes of each record."""
    found = taken(body, media_type, **settings)
    assert isinstance(found, RawPayloads), found
    parsed = [TOOL.parse(payload, found.media_type) for payload in found.payloads]
    assert all(isinstance(one, Parsed) for one in parsed)
    return [TOOL.translate(one.value, configured(**settings)) for one in parsed if isinstance(one, Parsed)]


def people(body: bytes | str, media_type: str = CSV, **settings: Any) -> list[Employed]:  # noqa: ANN401
    found = results(body, media_type, **settings)
    assert all(isinstance(one, tuple) for one in found), found
    return [person for one in found for person in one]


def person(row: str, header: str = HEADER, **settings: Any) -> Employed:  # noqa: ANN401
    (found,) = people(f"{header}\n{row}\n", **settings)
    return found


def faults(row: str, header: str = HEADER, **settings: Any) -> list[tuple[str, str]]:  # noqa: ANN401
    (found,) = results(f"{header}\n{row}\n", **settings)
    assert isinstance(found, Rejected), found
    return [(error.path, error.reason) for error in found.errors]


def refusal(body: bytes | str, media_type: str = CSV, **settings: Any) -> str:  # noqa: ANN401
    found = taken(body, media_type, **settings)
    assert isinstance(found, Rejected), found
    return f"{found.errors[0].path} {found.errors[0].reason}".strip()


def employee(**changes: object) -> dict[str, Any]:
    return {"id": "p-ada", "name": "A B", "email": "ada@example.com", "status": "active"} | changes


def test_a_feed_proves_itself_by_a_token_or_a_password() -> None:
    basic = b64encode(b"hr:s3cret").decode()

    assert TOOL.verify(Received({"authorization": "Bearer s3cret"}, b""), "s3cret", NOW) == Verified()
    assert TOOL.verify(Received({"authorization": f"Basic {basic}"}, b""), "hr:s3cret", NOW) == Verified()
    for header in ("", "Bearer x", "Basic x", f"Basic {b64encode(b'hr:x').decode()}", "Digest s3cret"):
        assert isinstance(TOOL.verify(Received({"authorization": header}, b""), "hr:s3cret", NOW), Unverified)


def test_a_row_is_a_person() -> None:
    found = person("p-ada,A B,ada@example.com,active,,,")

    assert (found.participant, found.name, found.status) == ("p-ada", "A B", "active")
    assert (found.addresses, found.time_zone, found.consent) == (("ada@example.com",), "UTC", False)
    assert (found.time, found.left_on, found.back_on) == (NOW, None, None)


def test_leave_begins_and_ends_on_its_days() -> None:
    found = person("p-ada,A B,,On Leave,2026-03-10,2026-03-20,")

    assert (found.status, found.left_on, found.back_on) == ("leave", date(2026, 3, 10), date(2026, 3, 21))
    assert person("p-ada,A B,,leave,2026-03-10,,").back_on is None
    back = person("p-ada,A B,leave,2026-03-10,2026-03-21", "id,name,status,leave_from,return_date")
    assert back.back_on == date(2026, 3, 21)


def test_a_termination_takes_effect_on_its_day() -> None:
    assert person("p-ada,A B,,Terminated,,,2026-04-30").left_on == date(2026, 4, 30)
    assert person("p-ada,A B,,terminated,,,").left_on is None


def test_a_rehired_person_is_active_despite_an_old_termination() -> None:
    found = person("p-ada,A B,active,2025-01-31,2026-02-01", "id,name,status,termination_date,rehire_date")

    assert (found.status, found.left_on, found.back_on) == ("active", None, date(2026, 2, 1))


def test_days_that_stand_for_no_day_are_none() -> None:
    assert person("p-ada,A B,,leave,2026-03-10,9999-12-31,").back_on is None
    assert person("p-ada,A B,,terminated,,,1900-01-01").left_on is None


@pytest.mark.parametrize(
    ("written", "status"),
    [
        ("Active", "active"),
        (" ACTIVE ", "active"),
        ("A", "active"),
        ("on_leave", "leave"),
        ("Leave of Absence", "leave"),
        ("LOA", "leave"),
        ("Terminated", "exited"),
        ("resigned", "exited"),
        ("karenziert", "leave"),
        ("Im Dienst", "active"),
    ],
)
def test_statuses_have_synonyms_and_settings_add_more(written: str, status: str) -> None:
    found = person(f"p-ada,A B,,{written},,,", statuses={"Karenziert": "leave", "im dienst": "active"})

    assert found.status == status


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_may_be_written_as_systems_write_them(delimiter: str, ending: str, mark: str) -> None:
    rows = (HEADER.split(","), ["p-ada", '"B, ""A"" é; x"', "ada@example.com", "active", "", "", ""])
    body = mark + ending.join(delimiter.join(row) for row in rows) + ending

    (found,) = people(body)

    assert (found.participant, found.name) == ("p-ada", 'B, "A" é; x')


def test_names_of_columns_are_compared_without_case_and_punctuation() -> None:
    found = person(
        "p-ada;Ada;B;ada@example.com;Active;Europe/Vienna;yes",
        "Employee ID;First Name;LastName;E-Mail;Employment Status;Time-Zone;Consent",
    )

    assert (found.participant, found.name, found.time_zone, found.consent) == ("p-ada", "Ada B", "Europe/Vienna", True)


def test_settings_name_columns_identities_and_the_form_of_days() -> None:
    found = person(
        "4711,A B,Karenz,10.03.2026,U-ADA",
        "Personalnummer,Name,Zustand,Karenz ab,Slack",
        columns={"id": "Personalnummer", "status": ["Zustand"], "leave_from": "Karenz ab"},
        statuses={"Karenz": "leave"},
        identities={"slack": "Slack", "zoom": "Zoom"},
        day_format="%d.%m.%Y",
        time_zone="Europe/Vienna",
        consent=True,
    )

    assert (found.participant, found.status, found.left_on) == ("4711", "leave", date(2026, 3, 10))
    assert (found.identities, found.time_zone, found.consent) == ((("slack", "U-ADA"),), "Europe/Vienna", True)


def test_several_addresses_are_separated() -> None:
    assert person('p-ada,A B,"a@example.com; b@example.com",active,,,').addresses == ("a@example.com", "b@example.com")


def test_a_cell_may_go_over_several_lines_and_lines_are_still_counted() -> None:
    body = f'{HEADER}\np-ada,"A\nB",,active,,,\n\np-bob,B,,nonsense,,,\n'

    first, second = results(body)

    assert first[0].name == "A B"
    assert second.errors[0].path == "line 5, column status"


def test_a_fault_in_one_row_loses_no_other() -> None:
    rows = [
        "p-1,A,,active,,,",
        'p-2,"A,,active,,,',
        "p-3,A,,active,,,,,extra",
        "p-4,A,,active",
        "p-5,M\xffller,,active,,,",
        "p-6,A,,gone fishing,,,",
        'p-7,"A"B,,active,,,',
        "p-8,A,,active,,,",
    ]
    body = f"{HEADER}\n".encode() + "\n".join(rows).encode("latin-1")

    found = results(body)

    assert [isinstance(one, tuple) for one in found] == [True, False, False, False, False, False, False, True]
    paths = [one.errors[0].path for one in found if isinstance(one, Rejected)]
    assert paths == ["line 3", "line 4", "line 5", "line 6, column name", "line 7, column status", "line 8"]
    words = [one.errors[0].reason for one in found if isinstance(one, Rejected)]
    assert "has 9 cells, the header has 7" in words[1]
    assert "has 4 cells, the header has 7" in words[2]
    assert "not UTF-8: byte 0xff at character 2" in words[3]


def test_what_is_rejected_keeps_the_bytes_of_its_row_readable() -> None:
    found = taken(f"{HEADER}\np-5,M".encode() + b"\xffller,,active,,,\n")

    assert isinstance(found, RawPayloads)
    assert r"M\\xffller" in found.payloads[0].decode()


@pytest.mark.parametrize(
    ("row", "path", "words"),
    [
        (",A,,active,,,", "line 2, column id", "is required"),
        ("a b,A,,active,,,", "line 2, column id", "must be an id"),
        ("a@b,A,,active,,,", "line 2, column id", "must be an id"),
        ("p-1,,,active,,,", "line 2, column name", "is required, or first_name"),
        ("p-1,A,,,,,", "line 2, column status", "is required"),
        ("p-1,A,not an address,active,,,", "line 2, column email", "must be addresses"),
        (
            "p-1,A,,leave,10/3/2026,,",
            "line 2, column leave_from",
            "must be a day as in 2026-03-31; this one may be two",
        ),
        ("p-1,A,,leave,2026-02-30,,", "line 2, column leave_from", "must be a day"),
        ("p-1,A,,leave,2026-03-10,2026-03-09,", "line 2, column leave_until", "lies before the leave begins"),
        ("p-1,A,,terminated,,,soon", "line 2, column terminated_on", "must be a day"),
        (f"p-1,{'A' * 201},,active,,,", "line 2, column name", "more than 200"),
    ],
)
def test_a_fault_names_line_and_column(row: str, path: str, words: str) -> None:
    ((found, reason),) = faults(row)

    assert found == path
    assert words in reason


def test_all_faults_of_a_row_are_reported() -> None:
    found = faults("p 1,,x,active,,,")

    assert [path for path, _ in found] == [f"line 2, column {column}" for column in ("id", "name", "email")]


@pytest.mark.parametrize(
    ("zone", "consent", "column"), [("Mars/Base", "yes", "time_zone"), ("UTC", "maybe", "consent")]
)
def test_zones_and_consent_are_checked(zone: str, consent: str, column: str) -> None:
    ((path, _),) = faults(f"p-1,A,active,{zone},{consent}", "id,name,status,time_zone,consent")

    assert path == f"line 2, column {column}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        (f"{HEADER}\n".encode("utf-32"), "UTF-16"),
        (f"{HEADER}\np-1,A\n".encode("utf-16-le"), "UTF-16"),
        ("name,status\nA,active\n", "line 1 no column is the id"),
        ("id,name\np-1,A\n", "line 1 no column is the status"),
        ("id,name,status,id\np-1,A,active,x\n", "'id' is there twice"),
        (b"id,n\xff\np-1,A\n", "line 1 the header is not UTF-8"),
        ('"id,name\n', "line 1 the header is no row of a CSV file"),
    ],
)
def test_a_table_at_fault_as_a_whole_records_nothing(body: bytes | str, words: str) -> None:
    assert words in refusal(body)


@pytest.mark.parametrize(
    "more",
    [
        {"employee": {"id": None, "name": "A", "status": "active"}},
        {"employee": {"id": {"id": "p-1"}, "name": "A", "status": "active"}},
        {"fault": None},
        {"counts_elsewhere": False},
        {"counts_elsewhere": "no"},
    ],
)
def test_a_record_is_judged_as_a_row_of_a_table_by_what_is_kept_of_it(more: dict[str, Any]) -> None:
    row = {"line": 2, "employee": {"name": "A", "status": "active"}}

    assert "line 1 no column is the id" in refusal(json.dumps(row | more), "application/json")


def test_another_encoding_is_refused_by_name() -> None:
    assert "UTF-8, not in shift_jis" in refusal(HEADER, "text/csv; charset=Shift_JIS")
    assert "secret" not in refusal(HEADER, "text/csv; charset=my-secret")
    assert "secret" not in str(kept("id,name,status,my secret,my secret\np,A,active,x,y\n"))
    assert len(people(f"{HEADER}\np-1,A,,active,,,\n", 'text/csv; charset="UTF-8"; header=present')) == 1


def test_a_header_alone_is_ignored() -> None:
    assert results(f"{HEADER}\n") == [Ignored("empty")]


@pytest.mark.parametrize(
    "body",
    [
        employee(),
        [employee()],
        {"employees": [employee()]},
        {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "Resources": [employee()]},
    ],
)
def test_json_is_one_person_or_a_list(body: object) -> None:
    (found,) = people(json.dumps(body), "application/json")

    assert found.participant == "p-ada"


def test_a_person_of_scim_is_read() -> None:
    scim = {
        "id": "2819c223",
        "externalId": "p-ada",
        "name": {"formatted": "A B", "givenName": "A", "familyName": "B"},
        "emails": [{"value": "ada@example.com", "primary": True}, {"value": "a@example.org"}],
        "active": True,
        "timezone": "Europe/Vienna",
        "meta": {"lastModified": "2026-02-01T10:00:00Z"},
    }

    (found,) = people(json.dumps(scim), "application/json", columns={"id": "externalId"})

    assert (found.participant, found.name, found.status) == ("p-ada", "A B", "active")
    assert found.addresses == ("ada@example.com", "a@example.org")
    assert found.time == NOW
    (left,) = people(json.dumps(scim | {"active": False}), "application/json")
    assert left.status == "exited"


def test_a_fault_in_json_names_the_person_and_the_member() -> None:
    body = json.dumps([employee(), employee(status=["x"]), 3, employee(id=4711)])

    first, second, third, fourth = results(body, "application/json")

    assert isinstance(first, tuple)
    assert second.errors[0].path == "employee 2, column status"
    assert isinstance(third, Rejected)
    assert fourth[0].participant == "4711"


def test_an_unread_column_changes_no_key() -> None:
    one, other = (person(f"p-ada,A B,active,{salary}", "id,name,status,salary") for salary in (95_000, 96_000))

    assert one.key == other.key


def test_a_repeat_has_the_same_key_and_a_change_another() -> None:
    one, constant_time_equal = person("p-ada,A B,,active,,,"), person("p-ada,A B,,active,,,")
    other = person("p-ada,A B,,leave,2026-03-10,,")

    assert one.key == constant_time_equal.key
    assert one.key != other.key


def test_what_was_taken_once_stays_as_it_is() -> None:
    found = taken(f"{HEADER}\np-1,A,,active,,,\np-2,\xff,,x,,,,,\n")
    assert isinstance(found, RawPayloads)

    for payload in found.payloads:
        later = TOOL.split(Received({"content-type": found.media_type}, payload), configured(), datetime.now(UTC))
        assert later == RawPayloads((payload,))


def kept(body: bytes | str, media_type: str = CSV, **settings: Any) -> list[Any]:  # noqa: ANN401
    """What is stored of each record."""
    found = taken(body, media_type, **settings)
    assert isinstance(found, RawPayloads), found
    return [redacted_by(TOOL, json.loads(payload), configured(**settings)) for payload in found.payloads]


def test_unread_columns_are_not_stored() -> None:
    body = "id,name,status,salary,notes,slack\np-1,A,active,95000,Is often ill,U1\n"

    (record,) = kept(body, identities={"slack": "slack"})

    assert record["employee"] == {"id": "p-1", "name": "A", "status": "active", "slack": "U1"}


def test_no_cell_of_a_row_with_ambiguous_cells_is_stored() -> None:
    rows = ("p-1,A,,active,,,,secret", "p-2,A,active secret", 'p-3,"A" secret,,active,,,')

    found = kept(f"{HEADER}\n" + "\n".join(rows))

    assert [record["employee"] for record in found] == [{}, {}, {}]
    assert all(record["fault"]["words"] for record in found)
    assert "secret" not in json.dumps(found)


def test_a_cell_that_cannot_be_decoded_is_a_fault_only_where_somebody_reads_its_column() -> None:
    body = b"id,name,status,notes\np-1,A,active,M\xffde\np-2,M\xffller,active,M\xffde\n"

    first, second = results(body)

    assert isinstance(first, tuple)
    assert second.errors[0].path == "line 3, column name"


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ("a secret,A,,active,,,", "line 2, column id"),
        ("p-1,A,,my secret,,,", "line 2, column status"),
        ("p-1,A,my secret,active,,,", "line 2, column email"),
        ("p-1,A,,leave,my secret,,", "line 2, column leave_from"),
        ("p-1,A,,leave,2026-03-10 10:00 my secret,2026-03-01,", "line 2, column leave_until"),
        (f"p-1,{'secret' * 40},,active,,,", "line 2, column name"),
        ("p-1,,,active,,,", "line 2, column name"),
    ],
)
def test_a_value_that_does_not_fit_its_column_is_named_and_not_kept(row: str, path: str) -> None:
    (record,) = kept(f"{HEADER}\n{row}\n")

    found = TOOL.translate(record, configured())

    assert "secret" not in json.dumps(record)
    assert isinstance(found, Rejected)
    assert path in [error.path for error in found.errors]
    assert [(error.path, error.reason) for error in found.errors] == faults(row)
    assert redacted_by(TOOL, record, configured()) == record


def test_identities_that_may_be_text_are_the_digests_that_their_tools_give() -> None:
    body = "id,name,status,lms,zoom\np-1,A,active,https://lms.example.com#Ada L,Ada <ada@example.com>\n"

    (record,) = kept(body, identities={"xapi": "lms", "zoom": "zoom"})

    assert record["employee"]["lms"] == PSEUDONYM("https://lms.example.com#Ada L")
    assert record["employee"]["zoom"] == "ada@example.com"


def test_the_fault_text_of_a_foreign_record_is_not_stored() -> None:
    value = {"line": 3, "employee": {}, "note": "secret", "fault": {"column": "secret", "words": "my secret"}}

    found = redacted_by(TOOL, value, configured())

    assert found == {"line": 3, "employee": {}, "fault": {"column": "", "words": "is at fault"}}
    assert "secret" not in str(TOOL.translate(found, configured()))


def test_a_status_that_may_mean_leave_or_exit_is_not_guessed() -> None:
    assert faults("p-1,A,,inactive,,,")[0][0] == "line 2, column status"
    assert person("p-1,A,,inactive,,,", statuses={"Inactive": "exited"}).status == "exited"


@pytest.mark.parametrize("column", ["active", "Is Active", "ActiveFlag"])
@pytest.mark.parametrize("written", ["t", "T", "true", "1", "y", "Yes"])
def test_yes_to_whether_somebody_is_active_is_active(column: str, written: str) -> None:
    found = person(f"p-1,A,{written}", f"id,name,{column}", columns={"status": column})

    assert found.status == "active"


@pytest.mark.parametrize(("header", "written"), [("active", "f"), ("active", "0"), ("active", "n"), ("status", "T")])
def test_a_letter_that_settings_do_not_name_is_never_an_exit(header: str, written: str) -> None:
    (record,) = kept(f"id,name,{header}\np-1,A,{written}\n")

    assert isinstance(TOOL.translate(record, configured()), Rejected)
    assert person(f"p-1,A,{written}", f"id,name,{header}", statuses={written: "exited"}).status == "exited"


ROWS = "id,name,status,leave_from,terminated_on"


def outcome(record: object) -> str:
    """A person's status, or why there is none."""
    found = TOOL.translate(record, configured())
    if isinstance(found, Ignored | Rejected):
        return found.reason
    assert isinstance(found, tuple)
    (one,) = found
    assert isinstance(one, Employed)
    return one.status


@pytest.mark.parametrize(
    ("rows", "became"),
    [
        (("p-1,A,active,,", "p-1,A,terminated,,2019-05-31"), ["active", "another_row_counts"]),
        (("p-1,A,terminated,,2019-05-31", "p-1,A,active,,"), ["another_row_counts", "active"]),
        (("p-1,A,leave,2026-03-10,", "p-1,A,active,,"), ["another_row_counts", "active"]),
        (("p-1,A,active,,", "p-1,A,active,,"), ["active", "another_row_counts"]),
        (("p-1,A,terminated,,2019-05-31", "p-1,A,terminated,,2019-05-31"), ["exited", "another_row_counts"]),
        (("p-1,A,terminated,,2019-05-31", "p-1,A,terminated,,2026-05-31"), ["malformed", "malformed"]),
        (("p-1,A,leave,2026-03-10,", "p-1,A,terminated,,2019-05-31"), ["malformed", "malformed"]),
        (("p-1,A,active,,", "p-1,A,gone,,"), ["active", "invalid"]),
        (("p-1,A,terminated,,2019-05-31", "p-2,B,active,,"), ["exited", "active"]),
        (("\u200bp-1,A,terminated,,2019-05-31", "p-1,A,active,,"), ["another_row_counts", "active"]),
    ],
)
def test_of_several_rows_of_one_person_the_active_one_counts_or_none(rows: tuple[str, ...], became: list[str]) -> None:
    records = kept(f"{ROWS}\n" + "\n".join(rows) + "\n")

    assert [outcome(record) for record in records] == became
    assert [redacted_by(TOOL, record, configured()) for record in records] == records


@pytest.mark.parametrize(
    "written",
    ["0000-00-00", "0000-00-00 00:00:00", "0000-00-00T00:00:00Z", "00.00.0000", "00/00/0000", "0", "NULL", "n/a", "-"],
)
def test_what_systems_write_for_no_day_is_none(written: str) -> None:
    row = f"p-1,A,leave,{written},{written}"

    assert person(row, ROWS).left_on is None
    assert [outcome(record) for record in kept(f"{ROWS}\n{row}\n")] == ["leave"]


@pytest.mark.parametrize(
    "written", ["2026-11-20-08:00", "2026-11-20+01:00", "2026-11-20Z", "2026-11-20+01", "2026-11-20T00:00:00.000-08:00"]
)
def test_the_offset_of_a_day_is_dropped(written: str) -> None:
    assert person(f"p-1,A,leave,{written},", ROWS).left_on == date(2026, 11, 20)


@pytest.mark.parametrize(
    "around",
    [
        lambda people: {"Report_Entry": people},
        lambda people: {"Report_Data": {"Report_Entry": people}},
        lambda people: {"wd:Report_Data": 1, "report_entry": people[0]},
        lambda people: {"@odata.context": "x", "value": people},
        lambda people: {"d": {"results": people}},
        lambda people: {"id": "request-1", "status": "success", "data": people},
        lambda people: {"id": "list-1", "name": "Report", "employees": people},
    ],
)
def test_lists_of_people_have_many_names(around: Any) -> None:  # noqa: ANN401
    (found,) = people(json.dumps(around([employee()])), "application/json")

    assert found.participant == "p-ada"


def test_a_missing_list_is_reported_with_the_searched_paths() -> None:
    found = refusal(json.dumps({"my secret": [employee()]}), "application/json")

    assert "no list of people: it was looked for in employees, resources" in found
    assert "secret" not in found


@pytest.mark.parametrize(
    "written",
    [
        "\u200bada@example.com\u200b",
        "ada\u00ad@example.com",
        "\ufeffada@example.com",
        "\u00a0ada@example.com\u2060",
        "Ada L <ada@example.com>",
        "MailTo:ada@example.com",
        "<ada@example.com>",
    ],
)
def test_an_address_is_read_without_what_stands_around_it(written: str) -> None:
    header, row = "id,name,status,email", f"p-1,A,active,{written}"

    (record,) = kept(f"{header}\n{row}\n")

    assert record["employee"]["email"] == "ada@example.com"
    assert person(row, header).addresses == ("ada@example.com",)


@pytest.mark.parametrize("hint", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;", "\nsep=;\n"])
def test_the_hint_for_excel_is_not_the_header(hint: str) -> None:
    found = person("p-1;B, A;active", f"{hint}\nid;name;status")

    assert found.name == "B, A"


def test_missing_columns_of_a_feed_are_recorded() -> None:
    without, empty = (
        person("p-1,A,active", "id,name,status"),
        person("p-1,A,active,,", "id,name,status,consent,time_zone"),
    )

    assert without.unsaid == {"time_zone", "consent"}
    assert not empty.unsaid
    (record,) = kept("id,name,status,consent\np-1,A,active,\n")
    found = TOOL.translate(record, configured())
    assert isinstance(found, tuple)
    assert [one.unsaid for one in found if isinstance(one, Employed)] == [{"time_zone"}]


def test_letters_spelt_in_two_parts_are_the_same_letters() -> None:
    spelt = unicodedata.normalize("NFD", "Personalkürzel;Name;Zustand\np-1;Jürgen;Beschäftigt\n")

    (found,) = people(
        spelt,
        columns={"id": "Personalkürzel", "status": "Zustand"},
        statuses={unicodedata.normalize("NFC", "Beschäftigt"): "active"},
    )

    assert (found.participant, found.name) == ("p-1", unicodedata.normalize("NFC", "Jürgen"))


def test_a_change_that_was_dated_by_the_system_alone_has_that_time() -> None:
    result = TOOL.translate(employee(updated_at="2026-02-01T10:00:00Z"), configured())

    assert isinstance(result, tuple)
    assert result[0].time == datetime(2026, 2, 1, 10, tzinfo=UTC)


def test_without_a_time_nothing_is_known_of_a_change() -> None:
    found = TOOL.translate(employee(), configured())

    assert isinstance(found, Rejected)
    assert found.errors[0].path == "employee 1, column updated_at"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"columns": {"salary": "x"}}, "none of ours"),
        ({"statuses": {"x": "gone"}}, "Input should be 'active'"),
        ({"day_format": "%d"}, "form of days"),
        ({"day_format": "%H:%M"}, "form of days"),
        ({"time_zone": "Mars/Base"}, "no IANA time zone"),
        ({"identities": {"Slack!": "x"}}, "match pattern"),
    ],
)
def test_settings_are_checked_before_anything_comes(settings: Any, words: str) -> None:  # noqa: ANN401
    with pytest.raises(ValidationError, match=words):
        configured(**settings)


def test_fifty_thousand_rows_are_accepted_in_seconds() -> None:
    row = "p-%d,A B,a%d@example.com,On Leave,2026-03-10,2026-03-20,\n"
    body = f"{HEADER}\n" + "".join(row % (number, number) for number in range(50_000))

    begun = time.process_time()
    found = taken(body)

    assert isinstance(found, RawPayloads)
    assert len(found.payloads) == 50_000
    # 2.6 s of CPU; of a machine that is busy with other things this says nothing.
    assert time.process_time() - begun < 15


SAMPLES = (
    employee(status="leave", leave_from="2026-03-10", leave_until="2026-03-20", consent=True, time_zone="UTC"),
    {"employees": [employee(), employee(status="terminated", terminated_on="2026-04-01")]},
    {"received_at": "2026-03-01T12:00:00Z", "line": 3, "employee": employee(updated_at="2026-02-01T10:00:00Z")},
    {
        "received_at": "2026-03-01T12:00:00Z",
        "line": 3,
        "employee": {},
        "fault": {"words": "has 9 cells, the header has 7"},
    },
)


@given(mutated(SAMPLES))
def test_whatever_json_comes_gets_a_verdict(value: Any) -> None:  # noqa: ANN401
    given = configured(identities={"slack": "id"})
    translated(TOOL, value, given)
    found = taken(json.dumps(value), "application/json")
    for payload in found.payloads if isinstance(found, RawPayloads) else ():
        parsed = TOOL.parse(payload, "application/json")
        assert isinstance(parsed, Parsed)
        assert translated(TOOL, parsed.value, given)


pieces = st.sampled_from(
    [
        HEADER,
        "id;name;status",
        "\n",
        "\r\n",
        "\r",
        ",",
        ";",
        "\t",
        '"',
        '""',
        "p-1",
        "A",
        "active",
        "\ufeff",
        "\0",
        "é",
        " ",
    ]
)


@given(st.binary(max_size=200) | st.lists(pieces).map(lambda parts: "".join(parts).encode()), st.booleans())
def test_whatever_text_comes_gets_a_verdict(body: bytes, has_header: bool) -> None:  # noqa: FBT001
    content = f"{HEADER}\n".encode() + body if has_header else body
    found = taken(content)
    for payload in found.payloads if isinstance(found, RawPayloads) else ():
        parsed = TOOL.parse(payload, "application/json")
        assert isinstance(parsed, Parsed)
        assert translated(TOOL, parsed.value, configured())


@pytest.mark.parametrize("body", [b"[" + b"{}," * 50_000 + b"{}]", b"{}\n" * 50_000], ids=["a list", "lines"])
def test_too_many_people_are_refused_before_they_are_parsed(body: bytes) -> None:
    found = TOOL.parse(body, "application/json")

    assert isinstance(found, Rejected)
    assert "holds more than one value for" in found.errors[0].reason


EXCEL = "Personalliste Stand 01.03.2026;;;;;\r\n;;;;;\r\nID;Vorname;Nachname;E-Mail;Status;Austritt\r\n"
GERMAN: dict[str, Any] = {"columns": {"first_name": "Vorname", "last_name": "Nachname", "terminated_on": "Austritt"}}


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "utf-8", "utf-8-sig", "utf-16"])
def test_a_table_of_excel_is_read_as_import_reads_it(encoding: str) -> None:
    rows = "p-1;Jürgen;Groß;j@example.com;Active;\r\n;;;;;\r\np-2;Ana;Suárez;;Terminated;28.02.2026\r\nSumme;2;;;;\r\n"

    one, other = people((EXCEL + rows).encode(encoding), **GERMAN)

    assert (one.name, one.addresses, one.status) == ("Jürgen Groß", ("j@example.com",), "active")
    assert (other.name, other.left_on) == ("Ana Suárez", date(2026, 2, 28))


@pytest.mark.parametrize(
    ("media_type", "settings"),
    [
        ("text/csv; charset=windows-1252", {}),
        ("text/csv; charset=ISO-8859-1", {}),
        ("application/vnd.ms-excel", {"encoding": "cp1252"}),
        ("text/csv; charset=utf-8", {"encoding": "windows-1252"}),
    ],
)
def test_an_encoding_is_as_the_request_or_the_settings_say(media_type: str, settings: Any) -> None:  # noqa: ANN401
    body = "id,name,status\np-1,Hélène,active\n".encode("cp1252")

    assert [person.name for person in people(body, media_type, **settings)] == ["Hélène"]
    assert people("id,name,status\np-1,Hélène,active\n", media_type, **settings)[0].name == "Hélène"


def test_names_that_read_as_words_in_two_encodings_are_refused_with_their_row() -> None:
    one, other = results("id,name,status\np-1,Ada,active\np-2,Hélène,active\n".encode("cp1252"))

    assert isinstance(one, tuple)
    assert other.errors[0].path == "line 3, column name"
    assert other.errors[0].reason.endswith("save the file as UTF-8, or name its encoding")


def test_a_missing_header_is_reported_with_the_searched_rows() -> None:
    found = refusal("Staff\n\nName;Mail;Status\nA;a@example.com;active\n")

    assert found.startswith("line 3 no column is the id: settings.columns can name it")
    assert "looked for in the first 30 rows, by id, participant" in found


def test_rows_are_named_by_their_lines_in_the_file() -> None:
    (found,) = results("Staff\n\nid;name;status\np-1;A;gone fishing\n")

    assert found.errors[0].path == "line 4, column status"


@pytest.mark.parametrize("row", ["p-1;A;active;;", "p-1;A;active", "p-1;A;active;"])
def test_empty_columns_at_the_end_may_be_there_or_not(row: str) -> None:
    assert people(f"id;name;status;;\n{row}\n")[0].name == "A"


def test_a_cell_with_line_breaks_may_hold_quotes_and_delimiters() -> None:
    first = 'p-1;"a@example.com;\r\nb@example.com";"A ""B"" C";active'
    body = f'id;"Work\r\nEmail";name;status\r\n{first}\r\np-2;;D;active\r\n'

    one, other = people(body)

    assert (one.addresses, one.name) == (("a@example.com", "b@example.com"), 'A "B" C')
    assert other.name == "D"


@pytest.mark.parametrize(
    ("written", "day"),
    [
        (["28.02.2026"], date(2026, 2, 28)),
        (["1.3.26 00:00:00"], date(2026, 3, 1)),
        (["02/28/2026", "02/03/2026"], date(2026, 2, 28)),
        (["28/02/2026", "2/3/2026"], date(2026, 2, 28)),
        (["5/5/2026"], date(2026, 5, 5)),
        (["28/02/2026", "02/28/2026"], date(2026, 2, 28)),
    ],
)
def test_the_form_of_days_is_recognised_where_they_show_it(written: list[str], day: date) -> None:
    table = "id,name,status,exit date\n" + "".join(f"p-{at},A,terminated,{one}\n" for at, one in enumerate(written))
    listed = json.dumps([employee(id=f"p-{at}", status="left", exit_date=one) for at, one in enumerate(written)])

    assert people(table)[0].left_on == day
    assert people(listed, "application/json")[0].left_on == day


def test_days_that_may_be_two_are_refused_until_settings_say_how_they_are_written() -> None:
    table = "id,name,status,exit date\np-1,A,terminated,03/04/2026\np-2,B,active,\n"

    one, other = results(table)
    (record, _) = kept(table)

    assert "this one may be two, by which comes first, day or month" in one.errors[0].reason
    assert isinstance(other, tuple)
    assert TOOL.translate(record, configured()) == one
    assert people(table, day_format="%d/%m/%Y")[0].left_on == date(2026, 4, 3)


def test_a_workbook_under_another_name_is_named() -> None:
    assert "a workbook or an archive" in refusal(b"PK\x03\x04\x14\0", "application/vnd.ms-excel")


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (
            "Personalnummer;Name;Vorname;E-Mail-Adresse;Beschäftigungsstatus;Austrittsdatum",
            "p-1;Groß;Jürgen;j@example.com;{};{}",
        ),
        ("Matricule;Nom;Prénom;Adresse e-mail;Statut;exit date", "p-1;Groß;Jürgen;j@example.com;{};{}"),
        ("id;Name;Vorname;Mail;Status;exit date", "p-1;Jürgen Groß;Jürgen;j@example.com;{};{}"),
    ],
)
def test_tables_of_other_languages_are_read_without_settings(header: str, row: str) -> None:
    here, gone = people(
        f"{header}\n{row.format('aktiv', '')}\n{row.replace('p-1', 'p-2').format('Ausgetreten', '31.1.2026')}\n"
    )

    assert (here.name, here.addresses, here.status) == ("Jürgen Groß", ("j@example.com",), "active")
    assert (gone.status, gone.left_on) == ("exited", date(2026, 1, 31))


@pytest.mark.parametrize(
    "written", ["20-Nov-2026", "20-NOV-26", "20 November 2026", "Nov 20, 2026", "20. Nov. 2026", "20-Nov-2026 00:00:00"]
)
def test_a_month_by_its_name_leaves_no_doubt(written: str) -> None:
    found = people(f'id,name,status,exit date\np-1,A,left,"{written}"\np-2,B,left,28/02/2026\n')

    assert [one.left_on for one in found] == [date(2026, 11, 20), date(2026, 2, 28)]
    assert people("id,name,status,exit date\np-1,A,left,20. Dez. 26\n")[0].left_on == date(2026, 12, 20)
    assert faults("p-1,A,left,20-Nob-2026", "id,name,status,exit date")[0][0] == "line 2, column exit date"


def test_a_header_that_is_shown_again_on_each_page_is_nobody() -> None:
    assert [one.participant for one in people("id,name,status\np-1,A,active\nid,name,status\np-2,B,active\n")] == [
        "p-1",
        "p-2",
    ]


def test_where_two_encodings_are_likely_what_reads_alike_in_both_is_read() -> None:
    body = "Matricule;Nom;Prénom;Statut\np-1;Lefort;André;actif\np-2;Lefèvre;Hélène;actif\n".encode("cp1252")

    one, other = results(body)

    assert one[0].name == "André Lefort"
    assert other.errors[0].path == "line 3, column Nom"
