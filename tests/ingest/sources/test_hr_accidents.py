"""Accidentally damaged tables of people: a row is read correctly or rejected with row and column."""

import json
import tracemalloc
from datetime import date

import pytest

from services.ingest.domain.verdict import Rejected
from services.ingest.sources.hr.tool import TOOL
from tests.ingest.sources.redaction import redacted_by
from tests.ingest.sources.test_hr import configured, faults, kept, people, person, results


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        (["Y\u0131ld\u0131z", "Çağlar"], "cp1254"),
        (["Rasa Petraitienė", "Šarūnas Žukas"], "cp1257"),
        (["Jānis Kalve"], "cp1257"),
        (["Волнов", "Александр"], "cp1251"),
        (["Παπαδόπουλος"], "cp1253"),
        (["Kovać", "Michał"], "cp852"),
        (["Havlíček", "Růžička"], "mac_latin2"),
    ],
)
def test_no_name_of_another_encoding_is_read_as_one_of_the_west(names: list[str], encoding: str) -> None:
    rows = "".join(f"p-{place},{name},active\n" for place, name in enumerate(names))

    found = results(f"id,name,status\n{rows}".encode(encoding))

    assert all(isinstance(one, Rejected) for one in found)
    assert [one.errors[0].path for one in found] == [f"line {place + 2}, column name" for place in range(len(names))]


@pytest.mark.parametrize("name", ["Jürgen", "André", "Jörg Müller", "Weiß"])
def test_a_single_name_of_the_west_may_be_certain(name: str) -> None:
    body = f"id,name,status\np-1,{name},active\n".encode("cp1252")

    assert people(body)[0].name == name


@pytest.mark.parametrize("encoding", ["cp1254", "windows-1257", "mac_latin2", "cp852"])
def test_encodings_that_are_named_are_read(encoding: str) -> None:
    body = "id,name,status\np-1,Jürgen,active\n".encode(encoding)

    assert people(body, encoding=encoding)[0].name == "Jürgen"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("M\ufffdller", "a letter that was lost"),
        ("MÃ¼ller", "in another encoding than it was written in"),
        ("=B2&C2", "is a formula"),
        ('"=HYPERLINK(""https://example.com"",""Ada"")"', "is a formula"),
    ],
)
def test_what_became_of_a_name_is_no_name(written: str, words: str) -> None:
    table = f"id,name,status\np-1,{written},active\n"

    ((path, reason),) = faults(f"p-1,{written},active", "id,name,status")
    (record,) = kept(table)
    (half,) = faults(f"p-1,{written},Groß,active", "id,first name,last name,status")

    assert (path, words in reason) == ("line 2, column name", True)
    assert half[0] == "line 2, column first name"
    assert TOOL.translate(record, configured()) == results(table)[0]
    assert redacted_by(TOOL, record, configured()) == record


@pytest.mark.parametrize("name", ["IRMÃ\xa0SILVA", "Ãurélio", "Åse", "A = B"])
def test_names_that_only_look_so_are_names(name: str) -> None:
    assert person(f"p-1,{name},active", "id,name,status").name == name.replace("\xa0", " ")


@pytest.mark.parametrize("written", ['"=HYPERLINK(""mailto:a@example.com"",""A"")"', "[mailto:a@example.com]"])
def test_what_stands_around_an_address_is_no_part_of_it(written: str) -> None:
    ((path, _),) = faults(f"p-1,A,active,{written}", "id,name,status,email")

    assert path == "line 2, column email"


def test_columns_of_the_same_name_may_not_differ() -> None:
    table = "id,name,status,Status,ID\np-1,A,active,terminated,\np-2,B,active,active,p-2\np-3,C,active,,p-4\n"

    one, constant_time_equal, other = results(table)

    assert one.errors[0].path == "line 2, column status"
    assert other.errors[0].path == "line 4, column id"
    assert "is the name of two columns" in one.errors[0].reason
    assert constant_time_equal[0].participant == "p-2"
    assert TOOL.translate(kept(table)[0], configured()) == one


def test_a_header_may_say_how_its_days_are_written() -> None:
    found = person("p-1,A,terminated,31/12/2026", "id,name,status,Termination Date (DD/MM/YYYY)")

    assert found.left_on == date(2026, 12, 31)


def test_a_name_with_a_comma_but_no_quotes_moves_no_cell() -> None:
    ((path, reason),) = faults("p-1,active,Lovelace, Ada,", "id,status,name,notes")

    assert (path, reason) == ("line 2", "has 5 cells, the header has 4")


def test_ids_after_a_number_sign_are_no_notes() -> None:
    assert faults("#4711,Ada,active", "id,name,status")[0][0] == "line 2, column id"
    assert len(people("id,name,status\n# an example,A,active\np-1,A,active\n")) == 1


def test_whoever_is_called_as_totals_are_is_not_left_out_in_silence() -> None:
    table = "name,id,active\nSum,4711,1\nTotal,150,148\nSumme,,\nTotal,p-1,true\n"

    one, other = results(table)

    assert one.errors[0].path == "line 2"
    assert (other[0].name, other[0].participant) == ("Total", "p-1")
    assert "totals, or a person of that name" in one.errors[0].reason
    assert "a person of that name" in json.dumps(kept(table))


@pytest.mark.parametrize("empty", ["\n", " \n", ",,\n"])
def test_hundreds_of_thousands_of_empty_rows_take_no_room(empty: str) -> None:
    table = "id,name,status\np-1,A,active\n" + empty * 400_000 + 'p-2,"B\n\nC",active\np-3,C,gone fishing\n'

    tracemalloc.start()
    one, two, three = results(table)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (one[0].name, two[0].name) == ("A", "B C")
    assert three.errors[0].path == "line 400006, column status"
    assert most < 40 * 2**20
