"""What the reader of the embedded server may do, and every route tried to do more."""

import gzip
from pathlib import Path

import pytest

from deploy.local.clickhouse import LocalClickHouse
from services.warehouse.catalogue import queries
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
    "SELECT 1 FORMAT CSV SETTINGS max_threads = 1;",
    "SELECT id, name IN (lower('A')), (id, 1) IN ((1, 1)) FROM mentoring.events",
    "SELECT DISTINCT ON (id) name FROM mentoring.events ORDER BY id DESC LIMIT 3 OFFSET 0",
    (
        "SELECT countIf(id > 1), sumOrNull(id), uniqExactIf(id, 1), quantile(0.5)(id), max(id) FILTER (WHERE id > 0)"
        " FROM mentoring.events"
    ),
    "SELECT id, row_number() OVER w, lagInFrame(id) OVER w FROM mentoring.events WINDOW w AS (ORDER BY id)",
    "SELECT arrayMap((x, y) -> x + y, [1], [2])[1], (1, 'b').2, 1::UInt8, CAST(1 AS String), 3 BETWEEN 1 AND 4",
    (
        "SELECT a.id FROM mentoring.events AS a LEFT JOIN mentoring_mart.events AS b USING (id) ARRAY JOIN [1, 2] AS n"
        " WHERE a.name LIKE 'a%' AND NOT (a.id IS NULL) GROUP BY ALL HAVING count() > 0 ORDER BY a.id WITH FILL"
    ),
    "SELECT * EXCEPT (name) APPLY(toString), COLUMNS('^i') FROM mentoring.events",
    "SELECT toStartOfInterval(now(), INTERVAL 1 DAY), now() - INTERVAL 3 HOUR, CASE 1 WHEN 1 THEN 2 ELSE 3 END",
    "SELECT 'a -- b', 'c /* d */', '// e', '# f', ';', '$g$', 'h''i', 'j\\\\'",
    "SELECT 1 AS `one two` UNION ALL SELECT 2 EXCEPT SELECT 3",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT max(n) FROM r",
    "EXPLAIN indexes = 1 SELECT count() FROM mentoring.events",
    "EXPLAIN PIPELINE SELECT 1",
    "DESCRIBE (SELECT 1 AS a)",
    "DESC mentoring.events",
    "EXISTS DATABASE mentoring",
    "SHOW COLUMNS FROM events",
    "SELECT database(), currentUser(), version()",
    "SELECT displayName(), version(), revision(), timezone()",
    "SELECT 1 SETTINGS async_insert = 0, wait_for_async_insert = 1",
]

READABLE_BY_THE_READER = [
    "SELECT count() FROM mentoring_mart.events",
    "SELECT id FROM events",
    "SELECT * FROM mentoring_at.events_up_to(most = 1)",
    "SHOW TABLES FROM mentoring_mart",
    "DESCRIBE TABLE mentoring_mart.events",
    "SHOW CREATE TABLE mentoring_mart.events",
    "SELECT name FROM system.tables WHERE database = 'mentoring_mart'",
    "USE mentoring_mart",
]
REFUSED_TO_THE_READER = [
    "SELECT count() FROM mentoring.events",
    "SELECT name FROM mentoring.events",
    "SELECT id IN mentoring.events FROM mentoring_mart.events",
    "SELECT (SELECT max(name) FROM mentoring.events)",
    "WITH x AS (SELECT name FROM mentoring.events) SELECT * FROM x",
    "SELECT a.id FROM mentoring_mart.events AS a JOIN mentoring.events AS b USING (id)",
    "SELECT * FROM mentoring_at.events_up_to(most = (SELECT max(id) FROM mentoring.events))",
    "DESCRIBE TABLE mentoring.events",
    "SHOW CREATE TABLE mentoring.events",
    "SHOW TABLES FROM mentoring",
    "SHOW COLUMNS FROM events FROM mentoring",
    "SELECT count() FROM system.tables WHERE database = 'mentoring'",
    "SELECT count() FROM system.columns WHERE database = 'mentoring'",
    "SELECT count() FROM system.parts WHERE database = 'mentoring'",
    "EXPLAIN SELECT count() FROM mentoring.events",
    "EXPLAIN ESTIMATE SELECT count() FROM mentoring.events",
    "EXPLAIN PIPELINE SELECT name FROM mentoring.events",
    "EXPLAIN QUERY TREE SELECT name FROM mentoring.events",
    "DESCRIBE (SELECT * FROM mentoring.events)",
    "SELECT * FROM view(SELECT * FROM mentoring.events)",
    "SELECT * FROM mentoring_mart.events WHERE id IN (SELECT id FROM mentoring.events)",
    "SELECT id FROM mentoring_mart.events UNION ALL SELECT id FROM mentoring.events",
    "SELECT count() FROM mentoring.events SETTINGS max_threads = 1",
    "SELECT count() FROM system.data_skipping_indices WHERE database = 'mentoring'",
    "SELECT count() FROM system.projections WHERE database = 'mentoring'",
    "SELECT count() FROM information_schema.tables WHERE table_schema = 'mentoring'",
]

# What makes rows of numbers alone; every other table function of the engine reaches files, networks or other tables.
COMPUTED = {"generateSeries", "generate_series", "numbers", "numbers_mt", "primes", "view", "zeros", "zeros_mt"}
CALLED = (
    "SELECT * FROM {function}('/etc/hostname')",
    "SELECT * FROM {function}()",
    "SELECT 1 IN (SELECT * FROM {function}('/etc/hostname'))",
    "SELECT * FROM view(SELECT * FROM {function}('/etc/hostname'))",
    "DESCRIBE TABLE {function}('/etc/hostname')",
    "EXPLAIN SELECT * FROM {function}('/etc/hostname')",
    "INSERT INTO FUNCTION {function}('/tmp/rapport-reader-was-here') SELECT 1",
)

PLACES = (
    "WHERE length(file('/etc/hostname')) = 1",
    "GROUP BY file('/etc/hostname')",
    "HAVING file('/etc/hostname') = ''",
    "QUALIFY file('/etc/hostname') = ''",
    "ORDER BY file('/etc/hostname')",
    "ORDER BY number WITH FILL FROM 0 TO length(file('/etc/hostname')) STEP length(file('/etc/hostname'))",
    "LIMIT length(file('/etc/hostname'))",
    "LIMIT 1 BY file('/etc/hostname')",
    "LIMIT 1 OFFSET length(file('/etc/hostname'))",
    "ARRAY JOIN [file('/etc/hostname')] AS x",
    "AS a JOIN numbers(1) AS b ON file('/etc/hostname') = ''",
    "WINDOW w AS (PARTITION BY file('/etc/hostname'))",
    "UNION ALL SELECT length(file('/etc/hostname'))",
)

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
    # a lexer and the engine that disagree
    "SELECT 1 /* /* */ */, 2",
    "SELECT 1 /* ' */, file('/etc/hostname') /* ' */",
    "SELECT 1 // '\n, file('/etc/hostname') // '",
    "SELECT 1 # '\n, file('/etc/hostname')",
    "SELECT 1 -- x",
    "SELECT '\\'', file('/etc/hostname'), '\\''",
    "SELECT '''', file('/etc/hostname')",
    "SELECT\u00a0file('/etc/hostname')",
    "SELECT\u2003file('/etc/hostname')",
    'SELECT "fi\\x6ce"(1)',
    'SELECT 1 AS "a\nFROM system.processes"',
    "SELECT 'a\0', 1",
    "SELECT 1\0",
    # SQL in strings
    "SELECT b FROM values('a UInt8, b String ALIAS file(\\'/etc/hostname\\')', (1))",
    "SELECT * FROM values('a UInt8', 1, 2)",
    "SELECT * FROM generateRandom('a UInt8, b String ALIAS file(\\'/etc/hostname\\')') LIMIT 1",
    "SELECT * FROM format('CSV', 'a String DEFAULT file(\\'/etc/hostname\\')', '')",
    "SELECT * FROM input('a String')",
    "SELECT * FROM null('a String')",
    "SELECT 1 SETTINGS additional_result_filter = 'length(file(\\'/etc/hostname\\')) = 1'",
    "SELECT * FROM mentoring.events SETTINGS additional_table_filters = {'mentoring.events': '1'}",
    "SELECT * FROM fuzzQuery('SELECT 1')",
    "SELECT formatRow('Template', 1)",
    # functions that are named, and not called
    "WITH file AS f SELECT arrayMap(f, ['/etc/hostname'])",
    "WITH (x -> file(x)) AS f SELECT f('/etc/hostname')",
    "SELECT COLUMNS('.*') APPLY(x -> file(x)) FROM (SELECT '/etc/hostname' AS path)",
    # in every place where an expression may stand
    *(f"SELECT 1 FROM numbers(1) {place}" for place in PLACES),
    "SELECT sum(1) OVER (ORDER BY 1 ROWS BETWEEN length(file('/etc/hostname')) PRECEDING AND CURRENT ROW)",
    "SELECT quantile(length(file('/etc/hostname')))(1)",
    "SELECT sum(1) FILTER (WHERE file('/etc/hostname') = '')",
    "SELECT 1 IN (file('/etc/hostname'))",
    "SELECT * FROM numbers((SELECT length(file('/etc/hostname'))))",
    "DESCRIBE (SELECT file('/etc/hostname'))",
    "DESCRIBE TABLE file('/etc/hostname')",
    "EXPLAIN SELECT file('/etc/hostname')",
    "EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:1', 'a', 'b', 'c', 'd') PARTITION BY x",
    # dictionaries, joins, other users, the server itself
    "SELECT dictGet('x', 'y', 1)",
    "SELECT joinGet('elsewhere.secrets', 'word', 'x')",
    "SELECT hasColumnInTable('elsewhere', 'secrets', 'word')",
    "SELECT 'hidden' IN elsewhere.secrets",
    "SELECT 1 IN system.processes",
    "SELECT 1 IN `system`.`processes`",
    "SELECT catboostEvaluate('/x', 1)",
    "SELECT showCertificate()",
    "SELECT getServerSetting('max_connections')",
    "SELECT getMacro('x')",
    "SELECT hostName()",
    "SELECT sleep(3)",
    "SELECT aiGenerate('x')",
    "SELECT 1 FROM system.one STREAM",
    "SELECT * FROM dictionary('x')",
    "SHOW GRANTS",
    "SHOW USERS",
    "SHOW TABLES FROM elsewhere",
    "SHOW DICTIONARIES",
    "SHOW CLUSTERS",
    "EXISTS elsewhere.secrets",
    "SELECT {d:Identifier}",
    "SELECT {d:Nullable(Identifier)}",
    # settings
    "SET profile = 'default'",
    "SET max_threads = 1, readonly = 0",
    "SET max_threads = DEFAULT",
    "SET param_x = 1",
    "SELECT 1 SETTINGS max_execution_time = 0",
    "SELECT * FROM (SELECT 1 SETTINGS max_memory_usage = 0)",
    "WITH x AS (SELECT 1 SETTINGS dialect = 'prql') SELECT * FROM x",
    # formats
    "SELECT 1 AS a FORMAT Protobuf SETTINGS output_format_schema = '/tmp/rapport-reader-was-here'",
    "SELECT 1 AS a FORMAT CapnProto",
    "SELECT 1 INTO OUTFILE '/tmp/rapport-reader-was-here' AND STDOUT FORMAT CSV",
    # two at once
    "SELECT 1 PARALLEL WITH SELECT 2",
    ";SELECT 1",
    "SELECT 1; SELECT 2",
    "SELECT 1; INSERT INTO mentoring.events VALUES (3, 'c')",
]


@pytest.mark.parametrize("sql", READABLE)
def test_the_analyst_may(analyst: Login, sql: str) -> None:
    answer = analyst.ask(sql, database="mentoring")

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("sql", READABLE_BY_THE_READER)
def test_the_reader_may(reader: Login, sql: str) -> None:
    answer = reader.ask(sql, database="mentoring_mart")

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("sql", REFUSED)
@pytest.mark.parametrize("name", ["reader", "analyst"])
def test_a_reader_may_not(guarded: LocalClickHouse, name: str, sql: str) -> None:
    answer = Login(guarded.url, name, name).ask(sql, param_d="system")

    assert code_of(answer) in {47, 48, 62, 115, 164, 452, 497}, answer.text
    assert "hidden" not in answer.text


@pytest.mark.parametrize("sql", REFUSED_TO_THE_READER)
def test_the_reader_may_not_look_below_the_marts(reader: Login, sql: str) -> None:
    answer = reader.ask(sql)

    assert answer.status_code != 200 or answer.text.strip() in {"", "0"}, answer.text


@pytest.mark.parametrize("name", ["reader", "analyst"])
def test_a_reader_may_call_no_table_function_of_the_engine_but_those_that_compute(
    guarded: LocalClickHouse, writer: Login, name: str
) -> None:
    login = Login(guarded.url, name, name)
    functions = [one for one in writer.lines("SELECT name FROM system.table_functions") if one not in COMPUTED]

    for function in functions:
        for sql in CALLED:
            answer = login.ask(sql.format(function=function))
            assert code_of(answer) in {62, 164, 497}, (function, answer.text)

    assert len(functions) > 50
    assert {"file", "url", "s3", "remote", "merge", "input", "executable", "dictionary"} <= set(functions)


@pytest.mark.parametrize(
    "setting", ["dialect=prql", "format_template_row=/etc/hostname", "format_schema=/etc/passwd:M"]
)
def test_the_reader_may_not_change_by_url_what_reads_files(reader: Login, setting: str) -> None:
    name, _, value = setting.partition("=")

    assert code_of(reader.ask("SELECT 1", **{name: value})) == 452


@pytest.mark.parametrize("database", ["elsewhere", "system"])
def test_the_reader_may_not_make_another_database_current(reader: Login, database: str) -> None:
    assert code_of(reader.ask("SELECT 1", database=database)) == 497
    assert code_of(reader.send(b"SELECT 1", {}, {"X-ClickHouse-Database": database})) == 497


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


@pytest.mark.parametrize("way", ["url", "header"])
def test_the_reader_may_not_ask_for_a_format_that_reads_files_by_url_or_header(reader: Login, way: str) -> None:
    parameters = {"default_format": "Template"} if way == "url" else {}
    headers = {"X-ClickHouse-Format": "Template"} if way == "header" else {}

    assert code_of(reader.send(b"SELECT 1", parameters, headers)) == 497


@pytest.mark.parametrize("name", ["reader", "rapport"])
def test_a_format_is_one_word(guarded: LocalClickHouse, name: str) -> None:
    login = Login(guarded.url, name, {"reader": "reader", "rapport": "secret"}[name])

    answer = login.ask("SELECT 1", default_format="CSV SETTINGS output_format_schema = '/tmp/x'")

    assert code_of(answer) in {73, 497}


def test_a_packed_statement_is_checked_like_a_plain_one(reader: Login) -> None:
    answer = reader.send(gzip.compress(b"SELECT file('/etc/hostname')"), {}, {"Content-Encoding": "gzip"})

    assert code_of(answer) == 497


def test_a_statement_in_two_parts_is_checked_as_one(reader: Login) -> None:
    answer = reader.send(b"'/etc/hostname')", {"query": "SELECT file("}, {})

    assert code_of(answer) == 497


def test_every_ready_query_is_one_that_readers_may_send(reader: Login) -> None:
    for query in queries():
        given = {f"param_{name}": default or "2024-01-01" for name, default in query.parameters.items()}
        answer = reader.ask(query.statement, **given)

        # The tables are not those of the warehouse here: what is missing is told by the engine, after the check.
        assert code_of(answer) in {0, 46, 47, 60}, answer.text


def test_nothing_changed_after_all_that(writer: Login) -> None:
    assert writer.lines("SELECT count() FROM mentoring.events") == ["2"]
    assert writer.lines("SELECT name FROM system.tables WHERE name = 'mine'") == []
    assert not Path("/tmp/rapport-reader-was-here").exists()
