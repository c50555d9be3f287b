"""clickhouse-connect, the client of the services and of data teams, against the embedded server."""

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from deploy.local.clickhouse import LocalClickHouse

COLUMNS = ["tenant", "position", "at", "band", "factors", "tags", "text"]
ROWS = [
    [
        "acme",
        1,
        datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC),
        "healthy",
        {"reply": -250_000},
        ["a", "b"],
        "é;'\n",
    ],
    ["acme", 2, datetime(2026, 3, 2, tzinfo=UTC), "at_risk", {}, [], ""],
]
TABLE = """CREATE OR REPLACE TABLE elsewhere.typed (
    tenant LowCardinality(String), position UInt64, at DateTime64(6, 'UTC'),
    band Enum8('healthy' = 1, 'at_risk' = 2), factors Map(LowCardinality(String), Int32), tags Array(String),
    text String
) ENGINE = ReplacingMergeTree(position) PARTITION BY toYYYYMM(at) ORDER BY (tenant, at, position)
SETTINGS non_replicated_deduplication_window = 100"""


@pytest.fixture
def client(guarded: LocalClickHouse) -> Iterator[Client]:
    with connected(guarded.url, "rapport", "secret") as client:
        client.command(TABLE)
        yield client


def connected(url: str, name: str, password: str) -> Client:
    at = urlsplit(url)
    assert at.hostname is not None
    assert at.port is not None
    return clickhouse_connect.get_client(
        host=at.hostname, port=at.port, username=name, password=password, autogenerate_session_id=False
    )


def test_rows_of_every_type_in_use_come_back_as_they_went_in(client: Client) -> None:
    summary = client.insert("elsewhere.typed", ROWS, column_names=COLUMNS)

    found = client.query("SELECT * FROM elsewhere.typed ORDER BY position", tz_mode="aware").result_rows
    assert summary.written_rows == 2
    assert [list(row) for row in found] == ROWS


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_every_compression_of_the_client_works_both_ways(
    guarded: LocalClickHouse, client: Client, compress: str
) -> None:
    client.command("TRUNCATE TABLE elsewhere.typed")
    at = urlsplit(guarded.url)
    rows = [["t", n, datetime(2026, 1, 1, tzinfo=UTC), "healthy", {}, [], "x" * 100] for n in range(20_000)]
    with clickhouse_connect.get_client(
        host=str(at.hostname), port=at.port or 0, username="rapport", password="secret", compress=compress
    ) as packing:
        packing.insert("elsewhere.typed", rows, column_names=COLUMNS)
        found = packing.query("SELECT position FROM elsewhere.typed ORDER BY position").result_columns

    assert found == [list(range(20_000))] or found == [tuple(range(20_000))]


def test_parameters_and_settings_reach_the_engine(client: Client) -> None:
    client.insert("elsewhere.typed", ROWS, column_names=COLUMNS)

    found = client.query(
        "SELECT position, getSetting('max_threads') FROM elsewhere.typed "
        "WHERE band = {band:String} AND at < {at:DateTime64(6)}",
        parameters={"band": "at_risk", "at": datetime(2026, 4, 1, tzinfo=UTC)},
        settings={"max_threads": 1},
    )

    assert found.result_rows == [(2, 1)]


def test_a_repeated_insert_with_the_same_token_is_dropped(client: Client) -> None:
    token = {"insert_deduplication_token": "t-0-0-9", "insert_deduplicate": 1, "async_insert": 0}

    for _ in range(2):
        client.insert("elsewhere.typed", ROWS[:1], column_names=COLUMNS, settings=token)

    assert client.command("SELECT count() FROM elsewhere.typed") == 1


@pytest.mark.parametrize(
    ("sql", "code"),
    [("SELECT * FROM elsewhere.nothing", 60), ("SELEC 1", 62), ("SELECT * FROM elsewhere.typed WHERE x", 47)],
)
def test_errors_carry_the_servers_code(client: Client, sql: str, code: int) -> None:
    with pytest.raises(DatabaseError, match=rf"(?i)code:? {code}\b"):
        client.query(sql)


def test_rows_that_the_engine_refuses_raise_and_leave_nothing(client: Client) -> None:
    client.command("ALTER TABLE elsewhere.typed ADD CONSTRAINT positive CHECK position > 1")

    with pytest.raises(DatabaseError, match=r"(?i)code:? 469"):
        client.insert("elsewhere.typed", ROWS, column_names=COLUMNS)

    assert client.command("SELECT count() FROM elsewhere.typed") == 0


def test_a_wrong_password_is_refused(guarded: LocalClickHouse) -> None:
    with pytest.raises(DatabaseError, match="516"):
        connected(guarded.url, "rapport", "wrong")


def test_the_reader_reads_and_does_not_write(guarded: LocalClickHouse) -> None:
    with connected(guarded.url, "reader", "reader") as client:
        assert client.query("SELECT count() FROM mentoring_mart.events").result_rows == [(2,)]
        assert client.query_df("SELECT id FROM mentoring_mart.events ORDER BY id")["id"].tolist() == [1, 2]
        with pytest.raises(DatabaseError, match="164"):
            client.insert("mentoring_mart.events", [[3]], column_names=["id"])
