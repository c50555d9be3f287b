"""What persists after a request of the embedded server, and what must not."""

import gzip
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse
from tests import plain_http
from tests.local.login import Login, code_of


def test_a_session_keeps_settings_database_and_temporary_tables(writer: Login) -> None:
    writer.lines("SET max_block_size = 77", session_id="one")
    writer.lines("USE elsewhere", session_id="one")
    writer.lines("CREATE TEMPORARY TABLE kept (a UInt8)", session_id="one")
    writer.lines("INSERT INTO kept VALUES (5)", session_id="one")

    kept = writer.lines("SELECT a, getSetting('max_block_size'), currentDatabase() FROM kept", session_id="one")

    assert kept == ["5\t77\telsewhere"]
    assert code_of(writer.ask("SELECT a FROM kept", session_id="other")) == 60
    assert code_of(writer.ask("SELECT a FROM kept")) == 60


def test_a_setting_of_a_url_does_not_stay_in_the_session(writer: Login) -> None:
    writer.lines("SET max_block_size = 77", session_id="two")

    asked = "SELECT getSetting('max_block_size')"

    assert writer.lines(asked, session_id="two", max_block_size="8") == ["8"]
    assert writer.lines(asked, session_id="two") == ["77"]


def test_a_get_in_a_session_leaves_it_writable(writer: Login, table: str) -> None:
    writer.lines("SET max_block_size = 77", session_id="three")
    query = {"query": "SELECT 1", "session_id": "three", "user": "rapport", "password": "secret"}

    assert plain_http.get(writer.url, params=query).text == "1\n"
    assert code_of(plain_http.get(writer.url, params={**query, "query": f"DROP TABLE {table}"})) == 164
    assert writer.lines(f"INSERT INTO {table} VALUES (1)", session_id="three") == []


def test_rows_sent_along_are_readable_as_a_table(writer: Login) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n1\ta\n2\tb\n\r\n--x--\r\n'
    parameters = {"query": "SELECT sum(n) FROM t", "t_structure": "n UInt8, s String"}

    answer = writer.send(form, parameters, {"Content-Type": "multipart/form-data; boundary=x"})

    assert answer.text == "3\n"


def test_too_many_queries_and_too_long_bodies_are_refused(tmp_path: Path) -> None:
    with LocalClickHouse(ClickHouseConfig(data=tmp_path, max_queries=1, max_body_bytes=1000)) as clickhouse:
        login = Login(clickhouse.url, "default", "")
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(login.ask, ["SELECT sleep(3)"] * 4))
        long_query = login.ask("SELECT '" + "x" * 2000 + "'")
        packed = gzip.compress(b"1\n" * 5000)
        long_rows = login.send(
            packed, {"query": "INSERT INTO FUNCTION null('a UInt8') FORMAT TSV"}, {"Content-Encoding": "gzip"}
        )

    assert sorted(map(code_of, answers)) == [0, 202, 202, 202]
    assert (long_query.status_code, code_of(long_query)) == (413, 223)
    assert (long_rows.status_code, code_of(long_rows)) == (413, 223)


def test_rows_survive_a_kill_and_a_second_server_on_the_folder_is_refused(tmp_path: Path) -> None:
    with LocalClickHouse(ClickHouseConfig(data=tmp_path)) as clickhouse:
        login = Login(clickhouse.url, "default", "")
        login.lines("CREATE TABLE kept (a UInt8) ENGINE = MergeTree ORDER BY a")
        login.lines("INSERT INTO kept VALUES (1)")
        clickhouse.kill()
        clickhouse.start()

        assert login.url == clickhouse.url
        assert login.lines("SELECT a FROM kept") == ["1"]

    assert clickhouse.exit_code() == 0
