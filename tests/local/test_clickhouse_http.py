"""The HTTP interface as curl, BI tools and BI drivers see it."""

import base64
from pathlib import Path

import pytest

from deploy.local.clickhouse import LocalClickHouse
from tests import plain_http
from tests.local.login import Login, code_of


def test_ping_needs_no_login(guarded: LocalClickHouse) -> None:
    assert plain_http.get(f"{guarded.url}/ping").text == "Ok.\n"


@pytest.mark.parametrize("way", ["headers", "basic", "url"])
def test_a_login_is_accepted_in_three_ways(guarded: LocalClickHouse, way: str) -> None:
    basic = base64.b64encode(b"reader:reader").decode()
    headers = {
        "headers": {"X-ClickHouse-User": "reader", "X-ClickHouse-Key": "reader"},
        "basic": {"Authorization": f"Basic {basic}"},
        "url": {},
    }[way]
    parameters = {"query": "SELECT 1"} | ({"user": "reader", "password": "reader"} if way == "url" else {})

    answer = plain_http.get(guarded.url, params=parameters, headers=headers)

    assert (answer.status_code, answer.text) == (200, "1\n")


@pytest.mark.parametrize(("name", "password"), [("reader", "wrong"), ("nobody", ""), ("default", ""), ("rapport", "")])
def test_a_wrong_login_is_refused(guarded: LocalClickHouse, name: str, password: str) -> None:
    answer = Login(guarded.url, name, password).ask("SELECT 1")

    assert (answer.status_code, code_of(answer)) == (403, 516)


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELECT * FROM nowhere.nothing", 404, 81),
        ("SELECT * FROM elsewhere.nothing", 404, 60),
        ("SELEC 1", 400, 62),
        ("SELECT missing", 404, 47),
        ("SELECT 1 SETTINGS no_such_setting = 1", 404, 115),
        ("SELECT throwIf(1)", 500, 395),
        ("", 400, 62),
        ("SELECT 1; DROP DATABASE elsewhere", 400, 62),
        ("SELECT 1 INTO OUTFILE '/tmp/rapport-was-here'", 501, 48),
        ("INSERT INTO elsewhere.rows FROM INFILE '/etc/hostname' FORMAT TSV", 501, 48),
    ],
)
def test_errors_carry_code_and_status(writer: Login, sql: str, status: int, code: int) -> None:
    answer = writer.ask(sql)

    assert (answer.status_code, code_of(answer)) == (status, code), answer.text
    assert f"Code: {code}. DB::Exception:" in answer.text
    assert not Path("/tmp/rapport-was-here").exists()


@pytest.mark.parametrize("sql", ["INSERT INTO {t} VALUES (1)", "DROP TABLE {t}", "INSERT INTO {t} SELECT 1"])
def test_get_may_only_read(guarded: LocalClickHouse, table: str, sql: str) -> None:
    query = {"query": sql.format(t=table), "user": "rapport", "password": "secret"}

    assert code_of(plain_http.get(guarded.url, params=query)) == 164


def test_a_database_may_be_named_in_a_header_and_a_url_that_names_one_wins(writer: Login) -> None:
    named = {"X-ClickHouse-Database": "elsewhere"}

    first, second = (
        writer.send(b"SELECT currentDatabase()", {}, named),
        writer.send(b"SELECT currentDatabase()", {"database": "mentoring"}, named),
    )

    assert (first.text, second.text) == ("elsewhere\n", "mentoring\n")


@pytest.mark.parametrize("name", ["compress", "decompress"])
def test_clickhouses_block_format_is_refused_with_the_alternative(writer: Login, name: str) -> None:
    answer = writer.send(b"SELECT 1", {name: "1"}, {})

    assert (answer.status_code, code_of(answer)) == (501, 48)
    assert "set compress=0" in answer.text


def test_parameters_settings_and_database_belong_to_one_request(writer: Login, table: str) -> None:
    writer.lines(f"INSERT INTO {table} VALUES (1), (2), (3)")

    bound = writer.lines("SELECT a FROM rows WHERE a > {low:UInt8} ORDER BY a", param_low="1", database="elsewhere")

    assert bound == ["2", "3"]
    assert writer.lines("SELECT getSetting('max_block_size')", max_block_size="7") == ["7"]
    assert writer.lines("SELECT getSetting('max_block_size') = 7, currentDatabase()") == ["0\tdefault"]


def test_a_long_result_is_streamed_and_complete(writer: Login) -> None:
    answer = writer.ask("SELECT number FROM numbers(500000)")

    assert "X-ClickHouse-Exception-Tag" in answer.headers
    assert answer.text.splitlines()[-1] == "499999"
    assert answer.text.count("\n") == 500_000


def test_an_error_after_the_first_rows_is_reported_in_the_stream(writer: Login) -> None:
    answer = writer.ask("SELECT throwIf(number = 400000) FROM numbers(500000)", max_block_size="1000")

    assert answer.status_code == 200
    assert "__exception__" in answer.text
    assert "Code: 395." in answer.text


def test_formats_and_headers_are_named(writer: Login) -> None:
    answer = writer.ask("SELECT 1 AS one FORMAT JSON", query_id="mine")

    assert answer.json()["data"] == [{"one": 1}]
    assert answer.headers["X-ClickHouse-Format"] == "JSON"
    assert answer.headers["X-ClickHouse-Query-Id"] == "mine"
    assert answer.headers["X-ClickHouse-Timezone"]
    assert writer.ask("SELECT 1", default_format="JSONEachRow").json() == {"1": 1}
