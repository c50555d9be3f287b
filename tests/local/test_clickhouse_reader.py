"""What the reader of the embedded server may do, and every route by which more was tried."""

from pathlib import Path

import pytest

from tests.local.login import Login, code_of

READABLE = [
    "SELECT count() FROM mentoring.events",
    "SELECT count() FROM mentoring_mart.events",
    "WITH x AS (SELECT id FROM mentoring.events) SELECT count() FROM x",
    "SELECT n, 'file(', 'eval(' FROM (SELECT number AS n FROM numbers(2)) AS \"x\"",
    "SELECT format('{} {}', name, id) FROM mentoring.events",
    "SHOW DATABASES",
    "SHOW TABLES FROM mentoring",
    "DESCRIBE TABLE mentoring.events",
    "SHOW CREATE TABLE mentoring_mart.events",
    "EXPLAIN SELECT count() FROM mentoring.events",
    "EXISTS mentoring.events",
    "SELECT name FROM system.databases",
    "SELECT name FROM system.tables WHERE database = 'mentoring'",
    "SELECT table_name FROM information_schema.columns WHERE table_schema = 'mentoring'",
    "SET max_threads = 1",
    "USE mentoring",
    "SELECT 1 SETTINGS max_threads = 1",
]

REFUSED = [
    # changes
    "INSERT INTO mentoring.events VALUES (3, 'c')",
    "INSERT INTO mentoring.events SELECT 3, 'c'",
    "INSERT INTO mentoring.events FORMAT TSV\n3\tc\n",
    "INSERT INTO FUNCTION file('/tmp/rapport-reader-was-here', 'TSV') SELECT 1",
    "CREATE TABLE mentoring.mine (a UInt8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE mine (a UInt8)",
    "CREATE VIEW mentoring.mine AS SELECT * FROM elsewhere.secrets",
    "CREATE FUNCTION mine AS x -> x",
    "ALTER TABLE mentoring.events DELETE WHERE 1",
    "DELETE FROM mentoring.events WHERE 1",
    "TRUNCATE TABLE mentoring.events",
    "DROP TABLE mentoring.events",
    "OPTIMIZE TABLE mentoring.events",
    "KILL QUERY WHERE 1",
    "SYSTEM FLUSH LOGS",
    "BACKUP TABLE mentoring.events TO File('/tmp/rapport-reader-was-here')",
    # rights
    "SET ROLE writer",
    "SET ROLE ALL",
    "SET/**/ROLE writer",
    "-- hidden\nSET ROLE writer",
    "SET DEFAULT ROLE writer TO default",
    "GRANT writer TO default",
    "EXECUTE AS default SELECT * FROM elsewhere.secrets",
    "SET readonly = 0",
    "SELECT word FROM elsewhere.secrets SETTINGS readonly = 0",
    # other databases
    "SELECT * FROM elsewhere.secrets",
    "SELECT * FROM mentoring.peeping",
    "SELECT * FROM merge('elsewhere', '.*')",
    "SELECT * FROM merge(REGEXP('.*'), 'secrets')",
    "SELECT * FROM loop(elsewhere.secrets)",
    "SELECT * FROM view(SELECT * FROM elsewhere.secrets)",
    "SELECT * FROM mergeTreeIndex('elsewhere', 'secrets')",
    "SELECT * FROM eval('SELECT * FROM elsewhere.secrets')",
    "DESCRIBE TABLE elsewhere.secrets",
    "SHOW CREATE TABLE elsewhere.secrets",
    "EXPLAIN SELECT * FROM elsewhere.secrets",
    "USE elsewhere",
    "USE system",
    # what others do
    "SELECT * FROM system.processes",
    "SELECT * FROM system . /**/ `processes`",
    'SELECT * FROM "system"."stack_trace"',
    "SELECT * FROM system.users",
    "SELECT * FROM {d:Identifier}.processes",
    "SHOW PROCESSLIST",
    # files
    "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    "SELECT file('/etc/hostname')",
    "SELECT `file`('/etc/hostname')",
    "SELECT `fil\\x65`('/etc/hostname')",
    "SELECT * APPLY(file) FROM (SELECT '/etc/hostname' AS path)",
    "SELECT arrayMap(file, ['/etc/hostname'])",
    "SELECT $a$ ' $a$, file('/etc/hostname')",
    "SELECT a$b$ , file('/etc/hostname') AS x, $b$",
    "SELECT \u2018 ' \u2019, file('/etc/hostname')",
    "SELECT * FROM filesystem('/etc')",
    "SELECT * FROM sqlite('/tmp/x.db', 't')",
    "SELECT * FROM icebergLocal('/tmp')",
    "SELECT 1 INTO OUTFILE '/tmp/rapport-reader-was-here'",
    "SELECT 1 FORMAT Template SETTINGS format_template_row = '/etc/hostname'",
    "SELECT 1 FORMAT Template SETTINGS format_template_resultset = '/etc/hostname'",
    "SELECT 1 FORMAT Protobuf SETTINGS format_schema = '/etc/hostname:M'",
    "SELECT 1 SETTINGS dialect = 'prql'",
    # the network and other processes
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:1/')",
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/key', 'TSV')",
    "SELECT * FROM remote('127.0.0.1', 'elsewhere', 'secrets')",
    "SELECT * FROM mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd', 'e String')",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM python(sys)",
    "SELECT * FROM Python('engine')",
    # two at once
    "SELECT 1; SELECT 2",
    "SELECT 1; INSERT INTO mentoring.events VALUES (3, 'c')",
]


@pytest.mark.parametrize("sql", READABLE)
def test_the_reader_may(reader: Login, sql: str) -> None:
    assert reader.ask(sql).status_code == 200


@pytest.mark.parametrize("sql", REFUSED)
def test_the_reader_may_not(reader: Login, sql: str) -> None:
    answer = reader.ask(sql, param_d="system")

    assert code_of(answer) in {47, 48, 62, 164, 452, 497}, answer.text
    assert "hidden" not in answer.text


@pytest.mark.parametrize(
    "setting", ["dialect=prql", "format_template_row=/etc/hostname", "format_schema=/etc/passwd:M"]
)
def test_the_reader_may_not_change_by_url_what_reads_files(reader: Login, setting: str) -> None:
    name, _, value = setting.partition("=")

    assert code_of(reader.ask("SELECT 1", **{name: value})) == 452


@pytest.mark.parametrize("database", ["elsewhere", "system"])
def test_the_reader_may_not_make_another_database_current(reader: Login, database: str) -> None:
    assert code_of(reader.ask("SELECT 1", database=database)) == 497


def test_the_reader_may_not_lift_its_own_limit_by_url(reader: Login) -> None:
    assert reader.lines("SELECT getSetting('readonly')", readonly="0") == ["1"]


def test_the_reader_may_not_send_external_tables_whose_defaults_read_files(reader: Login) -> None:
    boundary = b'--x\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n1\r\n--x--\r\n'

    answer = reader.send(
        boundary,
        {"query": "SELECT * FROM t", "t_structure": "a UInt8, b String DEFAULT file('/etc/hostname')"},
        {"Content-Type": "multipart/form-data; boundary=x"},
    )

    assert code_of(answer) == 497


def test_nothing_changed_after_all_that(writer: Login) -> None:
    assert writer.lines("SELECT count() FROM mentoring.events") == ["2"]
    assert writer.lines("SELECT name FROM system.tables WHERE name = 'mine'") == []
    assert not Path("/tmp/rapport-reader-was-here").exists()
