"""Rows into the embedded server: every spelling of INSERT, every compression, every byte."""

import gzip
import json
from collections.abc import Callable

import httpx
import lz4.frame
import pytest
from backports import zstd

from tests.local.login import Login, code_of

ROWS = b'{"a":1}\n{"a":2}\n'
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "lz4": lz4.frame.compress,
}
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "zstd": zstd.decompress,
    "lz4": lz4.frame.decompress,
}


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "lz4"])
def test_concatenated_compressed_frames_are_inserted_and_answers_are_compressed(
    writer: Login, table: str, encoding: str
) -> None:
    frames = COMPRESS[encoding](ROWS) + COMPRESS[encoding](b'{"a":3}\n')
    query = {"query": f"INSERT INTO {table} FORMAT JSONEachRow"}

    inserted = writer.send(frames, query, {"Content-Encoding": encoding})
    with httpx.stream(
        "POST",
        writer.url,
        params={"enable_http_compression": "1", "user": "rapport", "password": "secret"},
        content=f"SELECT a FROM {table} ORDER BY a",
        headers={"Accept-Encoding": encoding},
    ) as answer:
        raw = b"".join(answer.iter_raw())

    assert inserted.status_code == 200, inserted.text
    assert json.loads(inserted.headers["X-ClickHouse-Summary"])["written_rows"] == "3"
    assert answer.headers["Content-Encoding"] == encoding
    assert DECOMPRESS[encoding](raw) == b"1\n2\n3\n"


def test_a_broken_compressed_body_inserts_nothing(writer: Login, table: str) -> None:
    query = {"query": f"INSERT INTO {table} FORMAT JSONEachRow"}

    answer = writer.send(b"no gzip at all", query, {"Content-Encoding": "gzip"})

    assert (answer.status_code, code_of(answer)) == (400, 271)
    assert writer.lines(f"SELECT count() FROM {table}") == ["0"]


@pytest.mark.parametrize(
    "body",
    [
        b"INSERT INTO {t} VALUES (1),(2);",
        b"INSERT INTO {t} (a) VALUES (1), (2)",
        b"INSERT INTO {t} FORMAT Values (1),(2)",
        b"INSERT INTO {t} SETTINGS async_insert=0 FORMAT TSV\n1\n2\n",
        b"insert into {t} format JSONEachRow " + ROWS,
        b"INSERT INTO {t} SELECT arrayJoin([1, 2])",
        b"WITH 1 AS x INSERT INTO {t} SELECT number + x FROM numbers(2)",
        b"/* SELECT ; */ INSERT INTO {t} FORMAT RowBinary\n" + bytes([1, *7 * [0], 2, *7 * [0]]),
    ],
)
def test_rows_are_inserted_in_every_spelling(writer: Login, table: str, body: bytes) -> None:
    answer = writer.send(body.replace(b"{t}", table.encode()), {}, {})

    assert answer.status_code == 200, answer.text
    assert writer.lines(f"SELECT groupArray(a) FROM (SELECT a FROM {table} ORDER BY a)") == ["[1,2]"]


def test_a_long_binary_insert_keeps_every_byte(writer: Login, table: str) -> None:
    rows = b"".join(value.to_bytes(8, "little") for value in range(300_000))  # holds every byte: ; ' \\ and zeros

    answer = writer.send(rows, {"query": f"INSERT INTO {table} FORMAT RowBinary"}, {})

    assert answer.status_code == 200, answer.text
    assert writer.lines(f"SELECT count(), sum(a), uniqExact(a) FROM {table}") == ["300000\t44999850000\t300000"]
