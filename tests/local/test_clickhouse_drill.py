"""Hostile readers at full force for a minute while the writer inserts: nothing of the writer's is lost or stuck."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from backports import zstd

from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse
from deploy.local.clickhouse.reader_settings import CONCURRENT_READERS, MAX_MEMORY
from tests.local.conftest import PREPARED, USERS
from tests.local.login import Login, code_of

SECONDS = 60.0
ATTACKERS = 24
LONGEST_INSERT_SECONDS = 20.0  # two processors, of which readers may take one
STATEMENTS = (
    "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1",
    "SELECT groupArray(number) FROM numbers(1000000000)",
    "SELECT uniqExact(number) FROM numbers(1000000000)",
    "SELECT a.number FROM numbers(100000000) AS a JOIN numbers(100000000) AS b ON a.number = b.number FORMAT Null",
    "SELECT number, repeat('x', 1000) FROM numbers(100000000)",
    "SELECT number, repeat('x', 1000) FROM numbers(100000000) FORMAT JSON",
    "SELECT toString(number) AS s FROM numbers(1000000000) ORDER BY s DESC LIMIT 1000000 FORMAT Null",
    "SELECT arrayJoin(range(1000000000))",
    "SELECT file('/etc/hostname')",
    "SELECT " + "(" * 50_000,
    "SELECT " + ",".join(["1"] * 60_000),
)


@pytest.mark.drill
def test_hostile_readers_at_full_force_leave_the_writer_its_service(tmp_path: Path) -> None:
    with LocalClickHouse(ClickHouseConfig(data=tmp_path, users=USERS)) as clickhouse:
        writer = Login(clickhouse.url, "rapport", "secret")
        for statement in (*PREPARED, "CREATE TABLE elsewhere.kept (a UInt64) ENGINE = MergeTree ORDER BY a"):
            writer.lines(statement)
        stop = threading.Event()
        attackers = [threading.Thread(target=_attack, args=(clickhouse, stop, seed)) for seed in range(ATTACKERS)]
        for attacker in attackers:
            attacker.start()
        try:
            waits = _insert(writer, SECONDS)
        finally:
            stop.set()
            for attacker in attackers:
                attacker.join(60)
        stored = writer.lines("SELECT count(), uniqExact(a) FROM elsewhere.kept")
        peak = _peak_bytes(clickhouse)
        left = "SELECT count() FROM system.processes WHERE query NOT LIKE '%system.processes%'"
        _wait(lambda: writer.lines(left) == ["0"])
        hidden = Login(clickhouse.url, "reader", "reader").ask("SELECT * FROM elsewhere.secrets")
        kept = writer.lines("SELECT count() FROM mentoring.events")

    print(f"{len(waits)} inserts, the median {sorted(waits)[len(waits) // 2]:.3f} s, the longest {max(waits):.3f} s")  # noqa: T201
    assert clickhouse.exit_code() == 0
    assert stored == [f"{len(waits)}\t{len(waits)}"]
    assert len(waits) > SECONDS / 2
    assert max(waits) < LONGEST_INSERT_SECONDS
    assert peak < CONCURRENT_READERS * MAX_MEMORY + (4 << 30)
    assert code_of(hidden) == 497
    assert kept == ["2"]


def _insert(writer: Login, seconds: float) -> list[float]:
    """Insert one row after the other; return how long each took."""
    waits: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        answer = writer.ask(f"INSERT INTO elsewhere.kept VALUES ({len(waits)})")
        assert answer.status_code == 200, answer.text
        waits.append(time.monotonic() - began)
        time.sleep(0.05)
    return waits


def _attack(clickhouse: LocalClickHouse, stop: threading.Event, seed: int) -> None:
    """Statements, half-read answers, bombs, guesses and sessions, in random order."""
    drawn = random.Random(seed)
    reader = Login(clickhouse.url, "reader", "reader")
    bomb = zstd.compress(b" " * (256 << 20))
    ways: tuple[Callable[[], object], ...] = (
        lambda: reader.ask(drawn.choice(STATEMENTS)),
        lambda: reader.ask(drawn.choice(STATEMENTS), session_id=f"{seed}-{drawn.random()}", max_execution_time="30"),
        lambda: _leave(clickhouse, drawn.choice(STATEMENTS)),
        lambda: reader.send(bomb, {}, {"Content-Encoding": "zstd"}),
        lambda: Login(clickhouse.url, "rapport", f"guess-{drawn.random()}").ask("SELECT 1"),
    )
    while not stop.is_set():
        with contextlib.suppress(httpx.HTTPError, OSError):  # refused, cut off, too slow: as attackers fare
            drawn.choice(ways)()


def _leave(clickhouse: LocalClickHouse, sql: str) -> None:
    """Send a statement, read a little, and disconnect."""
    at = urlsplit(clickhouse.url)
    with socket.create_connection((at.hostname, at.port), timeout=5) as connection:
        head = f"POST /?user=reader&password=reader HTTP/1.1\r\nHost: x\r\nContent-Length: {len(sql)}\r\n\r\n"
        connection.sendall((head + sql).encode())
        connection.recv(1000)


def _peak_bytes(clickhouse: LocalClickHouse) -> int:
    status = Path(f"/proc/{clickhouse.pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.2)
