"""A reader cannot exhaust the embedded server: memory, time, threads, slots, bodies, sessions."""

import gzip
import http.client
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import lz4.frame
import pytest
from backports import zstd

from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse
from deploy.local.clickhouse.reader_settings import CONCURRENT_READERS, LIMITS, MAX_MEMORY, MAX_SECONDS, MAX_THREADS
from tests.local.conftest import USERS
from tests.local.login import Login, code_of

FOREVER = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
RUNNING = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT count() FROM numbers(1000000000000)%'"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalClickHouse]:
    """A server with eight slots, on which one test alone opens sessions."""
    config = ClickHouseConfig(data=tmp_path_factory.mktemp("small"), users=USERS, max_queries=8)
    with LocalClickHouse(config) as clickhouse:
        yield clickhouse


@pytest.fixture
def new(tmp_path: Path) -> Iterator[LocalClickHouse]:
    """A server that has not used more memory than at its start."""
    with LocalClickHouse(ClickHouseConfig(data=tmp_path, users=USERS, max_queries=8)) as clickhouse:
        yield clickhouse


@pytest.mark.parametrize("name", ["max_execution_time", "max_memory_usage", "max_threads", "max_result_rows"])
@pytest.mark.parametrize("way", ["url", "clause", "subquery", "session"])
def test_no_limit_is_lifted(reader: Login, name: str, way: str) -> None:
    asked = f"SELECT getSetting('{name}')"

    for value in ("0", str(int(LIMITS[name]) + 1), "-1", "18446744073709551615"):
        answer = {
            "url": lambda value=value: reader.ask(asked, **{name: value}),
            "clause": lambda value=value: reader.ask(f"{asked} SETTINGS {name} = {value}"),
            "subquery": lambda value=value: reader.ask(f"SELECT * FROM ({asked} SETTINGS {name} = {value})"),
            "session": lambda value=value: reader.ask(f"SET {name} = {value}", session_id=f"lift-{name}"),
        }[way]()

        assert code_of(answer) in {62, 452}, answer.text
    assert reader.lines(asked, session_id=f"lift-{name}") == [LIMITS[name]]


def test_a_lower_limit_may_be_requested(reader: Login) -> None:
    asked = "SELECT getSetting('max_execution_time'), getSetting('max_memory_usage')"

    assert reader.lines(asked, max_execution_time="7", max_memory_usage="1000000") == ["7\t1000000"]
    assert reader.lines(f"{asked} SETTINGS max_execution_time = 8") == [f"8\t{MAX_MEMORY}"]


def test_a_session_of_a_reader_keeps_what_it_set_and_its_database(reader: Login) -> None:
    reader.lines("SET max_block_size = 77, join_use_nulls = 1", session_id="kept")
    reader.lines("USE mentoring_mart", session_id="kept")
    asked = "SELECT getSetting('max_block_size'), currentDatabase(), getSetting('readonly')"

    assert reader.lines(asked, session_id="kept") == ["77\tmentoring_mart\t1"]
    assert reader.lines(asked, session_id="kept", max_block_size="5") == ["5\tmentoring_mart\t1"]
    assert reader.lines(asked, session_id="kept") == ["77\tmentoring_mart\t1"]
    assert reader.lines(asked, session_id="other")[0].endswith("\tdefault\t1")


@pytest.mark.parametrize(
    "name",
    [
        *("additional_result_filter", "additional_table_filters", "output_format_schema", "format_schema"),
        *(
            "format_template_row",
            "format_template_resultset",
            "allow_ddl",
            "profile",
            "dialect",
            "role",
            "max_ast_depth",
        ),
        *("allow_introspection_functions", "allow_experimental_eval_table_function", "limit", "offset"),
        *("max_bytes_before_external_sort", "implicit_table_at_top_level", "max_temporary_data_on_disk_size_for_query"),
        *("no_such_setting", "log_queries", "workload", "priority", "enable_analyzer", "http_max_tries"),
    ],
)
def test_every_other_setting_is_refused(reader: Login, name: str) -> None:
    by_url = reader.ask("SELECT 1", **{name: "1"}) if name != "role" else None
    by_clause = reader.ask(f"SELECT 1 SETTINGS {name} = '1'")
    by_set = reader.ask(f"SET {name} = '1'", session_id="others")

    assert by_url is None or code_of(by_url) == 452, by_url.text
    assert code_of(by_clause) in {115, 452, 62}
    assert code_of(by_set) in {115, 164, 452, 62}


def test_memory_rows_and_time_end_a_statement(reader: Login) -> None:
    began = time.monotonic()

    memory = reader.ask("SELECT groupArray(number) FROM numbers(100000000)", max_memory_usage="50000000")
    rows = reader.ask("SELECT number FROM numbers(100000000) FORMAT Null", max_result_rows="1000")
    late = reader.ask(FOREVER, max_execution_time="1")

    assert (code_of(memory), code_of(rows), code_of(late)) == (241, 396, 159)
    assert time.monotonic() - began < 25


def test_one_statement_takes_half_of_the_processors_at_most(reader: Login) -> None:
    assert reader.lines("SELECT getSetting('max_threads')") == [str(MAX_THREADS)]
    assert reader.lines("SELECT getSetting('max_execution_time')") == [str(MAX_SECONDS)]


@pytest.mark.parametrize(("name", "password"), [("reader", "reader"), ("rapport", "secret")])
@pytest.mark.parametrize("sql", [FOREVER, f"{FOREVER} FORMAT JSON"])
def test_a_statement_ends_when_its_client_goes_away(
    guarded: LocalClickHouse, writer: Login, name: str, password: str, sql: str
) -> None:
    gone = _sent(guarded, name, password, sql)
    _wait(lambda: writer.lines(RUNNING) == ["1"])

    gone.close()

    _wait(lambda: writer.lines(RUNNING) == ["0"])


def test_readers_leave_slots_to_the_writer_and_their_statements_end(small: LocalClickHouse) -> None:
    writer, reader = Login(small.url, "rapport", "secret"), Login(small.url, "reader", "reader")
    writer.lines("CREATE TABLE kept (a UInt64) ENGINE = MergeTree ORDER BY a")
    reader.lines("SELECT 1")  # proves the login: logins that are still being tried are refused with 202, too
    hostile = [_sent(small, "reader", "reader", FOREVER) for _ in range(8)]

    def are_all_taken() -> bool:
        """Whoever asks takes a place, too, for which one of the hostile may have come too late."""
        if code_of(reader.ask("SELECT 1")) == 202:
            return True
        hostile.append(_sent(small, "reader", "reader", FOREVER))
        return False

    _wait(are_all_taken)
    _wait(lambda: int(writer.lines(RUNNING)[0]) > 0)

    for row in range(5):
        writer.lines(f"INSERT INTO kept VALUES ({row})")
    stored = writer.lines("SELECT count() FROM kept")
    running = int(writer.lines(RUNNING)[0])
    for one in hostile:
        one.close()

    assert stored == ["5"]
    assert 0 < running <= CONCURRENT_READERS
    _wait(lambda: reader.ask("SELECT 1").status_code == 200)


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
}


@pytest.mark.parametrize("encoding", ["gzip", "lz4", "zstd"])
@pytest.mark.parametrize("name", ["reader", "rapport"])
def test_a_body_is_counted_while_it_is_unpacked(new: LocalClickHouse, encoding: str, name: str) -> None:
    login = Login(new.url, name, {"reader": "reader", "rapport": "secret"}[name])
    login.lines("SELECT 1")
    before = _peak_bytes(new)
    bomb = COMPRESS[encoding](b"SELECT 1" + b" " * (1 << 20)) + COMPRESS[encoding](b" " * (300 << 20))

    answer = login.send(bomb, {}, {"Content-Encoding": encoding})

    assert (answer.status_code, code_of(answer)) == (413, 223), answer.text
    assert _peak_bytes(new) - before < 200 << 20


def test_a_frame_that_asks_for_a_large_window_is_refused(writer: Login) -> None:
    options = {int(zstd.CompressionParameter.window_log): 27}
    packer = zstd.ZstdCompressor(options=options)
    body = packer.compress(b"SELECT 1") + packer.flush()  # of unknown size: the frame asks for the whole window

    answer = writer.send(body, {}, {"Content-Encoding": "zstd"})

    assert (answer.status_code, code_of(answer)) == (400, 271), answer.text


def test_other_requests_are_answered_while_a_large_body_is_unpacked(small: LocalClickHouse) -> None:
    writer = Login(small.url, "rapport", "secret")
    writer.lines("SELECT 1")
    packed = zstd.compress(b"1\n" * (24 << 20))
    query = {"query": "INSERT INTO FUNCTION null('a UInt8') FORMAT TSV"}
    waits: list[float] = []

    with ThreadPoolExecutor(1) as pool:
        inserting = pool.submit(writer.send, packed, query, {"Content-Encoding": "zstd"})
        while not inserting.done():
            began = time.monotonic()
            _ping(small)
            waits.append(time.monotonic() - began)
            time.sleep(0.01)

    assert inserting.result().status_code == 200
    assert len(waits) > 5
    assert sorted(waits)[len(waits) // 2] < 0.2


def test_nothing_is_read_of_a_body_whose_sender_is_not_known(guarded: LocalClickHouse) -> None:
    """The answer arrives before the body: only the head was read."""
    at = urlsplit(guarded.url)
    with socket.create_connection((at.hostname, at.port), timeout=60) as stranger:
        stranger.sendall(
            b"POST /?user=stranger&password=x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nSELECT 1"
        )

        answer = stranger.recv(4096)

    assert answer.startswith(b"HTTP/1.1 403")


def test_a_reader_who_sends_half_a_statement_frees_its_slot(guarded: LocalClickHouse) -> None:
    at = urlsplit(guarded.url)
    with socket.create_connection((at.hostname, at.port), timeout=60) as slow:
        slow.sendall(b"POST /?user=reader&password=reader HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nSELECT 1")

        answer = slow.recv(4096)

    assert answer.startswith(b"HTTP/1.1 408")


def test_a_form_has_few_parts_and_a_reader_sends_no_tables(reader: Login, writer: Login) -> None:
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n1\r\n'
    many = "".join(part.format(f"p{n}") for n in range(300)) + "--x--\r\n"
    table = part.format('t"; filename="t') + "--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}

    too_many = writer.send(many.encode(), {"query": "SELECT 1"}, kind)
    tables = reader.send(table.encode(), {"query": "SELECT * FROM t", "t_structure": "a UInt8"}, kind)
    broken = writer.send(b"no form", {"query": "SELECT 1"}, {"Content-Type": "multipart/form-data"})
    bound = reader.send((part.format("param_low") + "--x--\r\n").encode(), {"query": "SELECT {low:UInt8} + 1"}, kind)

    assert (too_many.status_code, code_of(too_many)) == (413, 223)
    assert code_of(tables) == 497
    assert (broken.status_code, code_of(broken)) == (400, 62)
    assert bound.text == "2\n"


def test_names_counts_and_heads_have_bounds(reader: Login, guarded: LocalClickHouse) -> None:
    many = "&".join(f"p{n}=1" for n in range(2000))
    at = urlsplit(guarded.url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=60)
    connection.request("GET", f"/?query=SELECT%201&user=reader&password=reader&{many}")
    too_many = connection.getresponse()
    connection.close()

    assert code_of(reader.ask("SELECT 1", query_id="x" * 129)) == 36
    assert code_of(reader.ask("SELECT 1", query_id="a\r\nSet-Cookie: b")) == 36
    assert code_of(reader.ask("SELECT 1", session_id="x" * 129)) == 36
    assert reader.send(b"SELECT 1", {}, {"X-Long": "x" * 20_000}).status_code == 400
    assert too_many.status == 400
    assert code_of(reader.ask("SELECT '" + "x" * (1 << 17) + "'")) == 223


def test_one_user_opens_so_many_sessions_and_no_more(small: LocalClickHouse) -> None:
    at = urlsplit(small.url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=60)
    login = {"X-ClickHouse-User": "reader", "X-ClickHouse-Key": "reader"}
    codes = []
    for number in range(1001):
        connection.request("POST", f"/?session_id=s{number}", body="SET max_threads = 1", headers=login)
        answer = connection.getresponse()
        answer.read()
        codes.append(answer.headers.get("X-ClickHouse-Exception-Code", "0"))
    connection.close()
    again = Login(small.url, "reader", "reader").ask("SELECT 1", session_id="s1")

    assert codes[:1000] == ["0"] * 1000
    assert codes[1000] == "202"
    assert again.text == "1\n"
    assert code_of(Login(small.url, "reader", "reader").ask("USE mentoring_mart", session_id="s1")) == 81


def _sent(server: LocalClickHouse, name: str, password: str, sql: str) -> socket.socket:
    """A request in progress, whose answer is not read."""
    at = urlsplit(server.url)
    connection = socket.create_connection((at.hostname, at.port), timeout=60)
    head = f"POST /?user={name}&password={password} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(sql)}\r\n\r\n"
    connection.sendall((head + sql).encode())
    return connection


def _ping(server: LocalClickHouse) -> None:
    at = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=60)
    connection.request("GET", "/ping")
    connection.getresponse().read()
    connection.close()


def _peak_bytes(server: LocalClickHouse) -> int:
    """The peak memory of the process."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))


def _wait(until: Callable[[], bool]) -> None:
    """A query with a slot may wait as long as the statements before it."""
    deadline = time.monotonic() + 4 * MAX_SECONDS
    while not until():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
