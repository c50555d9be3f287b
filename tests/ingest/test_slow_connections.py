"""Slow and idle connections against the running server, with either HTTP parser."""

import asyncio
import json
import logging
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import repeat

import pytest
from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.runtime.http.connection_guard import ANSWER_AFTER_SECONDS, ConnectionGuard, ConnectionLimits
from services.runtime.http.guarded_protocol import CONNECTION, MAX_HEAD_BYTES, MAX_HEAD_LINES
from services.runtime.http.server import ServerEndpoint, listen, run_server
from tests.receiver import eventually

LIMITS = ConnectionLimits(most=40, most_per_address=30, head_seconds=1.0, body_seconds=2.0)
PROTOCOLS, NAMES = (H11Protocol, HttpToolsProtocol), ("h11", "httptools")
IDLE_SECONDS = 1
# For what should take one or two, on a slow machine; what is never ended lasts longer.
PATIENCE_SECONDS = 60.0
HEAD = b"POST /read HTTP/1.1\r\nHost: gateway\r\n"


BEGUN: list[Scope] = []


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """`/read` reads the body, `/refuse` answers before it, `/proven` believes the head, `/long` answers at length,
    `/begin` is in BEGUN while its body comes, `/slow` answers after a while."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/proven":
        scope["state"][CONNECTION].authenticated()
    if scope["path"] == "/begin":
        BEGUN.append(scope)
        try:
            await Request(scope, receive).body()
        finally:
            BEGUN.remove(scope)
    body = b"" if scope["path"] == "/refuse" else await Request(scope, receive).body()
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    answer = b"x" * 64 * 2**20 if scope["path"] == "/long" else str(len(body)).encode()
    await Response(answer, 401 if scope["path"] == "/refuse" else 200)(scope, receive, send)


@dataclass
class Served:
    port: int
    guard: ConnectionGuard
    registry: CollectorRegistry
    stop: threading.Event
    thread: threading.Thread
    opened: ExitStack = field(default_factory=ExitStack)

    def connect(self, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        one = self.opened.enter_context(socket.create_connection(("127.0.0.1", self.port), 10, (source, 0)))
        one.sendall(sent)
        return one

    def ask(self, path: str = "/read", source: str = "127.0.0.1") -> bytes:
        head = HEAD.replace(b"/read", path.encode())
        return answer_of(self.connect(head + b"Content-Length: 2\r\n\r\n{}", source))

    def ended(self, why: str) -> float:
        return self.registry.get_sample_value("cut_total", {"why": why}) or 0.0


def answer_of(connection: socket.socket) -> bytes:
    """One answer; less if the connection was ended before."""
    text = b""
    with suppress(ConnectionError):
        while b"\r\n\r\n" not in text or len(text) < length_of(text):
            part = connection.recv(65_536)
            if not part:
                break
            text += part
    return text


def length_of(text: bytes) -> int:
    head = text.partition(b"\r\n\r\n")[0]
    found = re.search(rb"content-length: (\d+)", head.lower())
    return len(head) + 4 + (int(found[1]) if found else 0)


def is_ended(connection: socket.socket) -> bool:
    """Waits for it."""
    with suppress(ConnectionError):
        while connection.recv(65_536):
            pass
    return True


def started(protocol: type, limits: ConnectionLimits = LIMITS) -> Served:
    registry = CollectorRegistry()
    guard = ConnectionGuard(limits, Counter("cut", "", ["why"], registry=registry))
    listener, stop = listen("127.0.0.1", 0), threading.Event()
    port = listener.getsockname()[1]
    endpoint = ServerEndpoint(listener, guard, IDLE_SECONDS, protocol)
    thread = threading.Thread(target=run_server, args=(application, endpoint, stop), daemon=True)
    thread.start()
    return Served(port, guard, registry, stop, thread)


@contextmanager
def serving(protocol: type, limits: ConnectionLimits = LIMITS) -> Iterator[Served]:
    running = started(protocol, limits)
    yield running
    running.opened.close()
    running.stop.set()
    running.thread.join(PATIENCE_SECONDS)
    assert not running.thread.is_alive()
    assert running.guard.number == 0


@pytest.fixture(params=PROTOCOLS, ids=NAMES)
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    with serving(request.param) as running:
        yield running


def trickle(connection: socket.socket, parts: Iterable[bytes], seconds: float) -> float:
    """Sends ten a second until the other side has ended the connection; how long that took."""
    began = time.monotonic()
    connection.settimeout(0.1)
    for part in parts:
        if time.monotonic() - began > seconds:
            break
        try:
            connection.sendall(part)
            if not connection.recv(65_536):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return time.monotonic() - began


def test_a_request_is_answered_and_its_connection_used_again(served: Served) -> None:
    connection = served.connect()

    for size in (0, 1, 70_000, 2**20):
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)
        assert answer_of(connection).endswith(b"\r\n\r\n%d" % size)
    time.sleep(0.2)
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    connection.sendall((b"1000\r\n" + b"x" * 4096 + b"\r\n") * 64 + b"0\r\n\r\n")

    assert answer_of(connection).endswith(b"\r\n\r\n262144")


def test_requests_sent_ahead_are_answered_in_their_order(served: Served) -> None:
    connection = served.connect(b"".join(HEAD + b"Content-Length: %d\r\n\r\n" % n + b"x" * n for n in range(10)))

    text = b""
    while len(re.findall(rb"\r\n\r\n\d", text)) < 10:
        text += connection.recv(65_536)
    assert re.findall(rb"\r\n\r\n(\d)", text) == [b"%d" % n for n in range(10)]


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01 no request\r\n\r\n", b"GET /no HTTP/1.1\r\nno colon\r\n\r\n"], ids=["bytes", "header"]
)
@pytest.mark.parametrize("path", [b"/read", b"/slow"])
def test_requests_before_garbage_are_answered_and_then_it_is_told_that_this_is_none(
    served: Served, path: bytes, garbage: bytes
) -> None:
    good = b"".join(HEAD.replace(b"/read", path) + b"Content-Length: %d\r\n\r\n" % n + b"x" * n for n in range(3))
    connection, text = served.connect(good + garbage), b""

    while part := connection.recv(65_536):
        text += part

    assert re.findall(rb"HTTP/1.1 (\d+)", text) == [b"200", b"200", b"200", b"400"]
    assert re.findall(rb"\r\n\r\n(\d)", text) == [b"0", b"1", b"2"]
    assert b"urn:rapport:problem:not_http" in text


@pytest.mark.parametrize("name", [b"Content-Type", b"Authorization"])
def test_a_header_that_says_two_things_is_refused_and_one_that_is_repeated_is_not(served: Served, name: bytes) -> None:
    twice = HEAD + b"Content-Length: 0\r\n%s: a\r\n%s: b\r\n\r\n" % (name, name.lower())

    refused, repeated = answer_of(served.connect(twice)), answer_of(served.connect(twice.replace(b": b", b": a")))

    assert b" 400 " in refused
    assert name in refused.partition(b"\r\n\r\n")[2]
    assert b"200 OK" in repeated


@pytest.mark.parametrize("trailer", [b"Authorization: b", b"Content-Type: b"])
def test_what_comes_behind_a_body_in_chunks_is_none_of_its_head(served: Served, trailer: bytes) -> None:
    """RFC 9110, 6.5: trailers arrive after the head was verified."""
    whole = (
        HEAD
        + b"Authorization: a\r\nContent-Type: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n%s\r\n\r\n"
        % trailer
    )

    answer = answer_of(served.connect(whole))

    assert answer.endswith(b"\r\n\r\n2")


SLOW = HEAD + b"X-Slow: " + b"a" * 1_000


@pytest.mark.parametrize("begun", [1, 10, len(HEAD), len(HEAD) + 9])
def test_a_head_that_trickles_in_is_ended(served: Served, begun: int) -> None:
    connection = served.connect(SLOW[:begun])

    seconds = trickle(connection, (SLOW[n : n + 1] for n in range(begun, len(SLOW))), PATIENCE_SECONDS)

    assert seconds < PATIENCE_SECONDS
    assert served.ended("head_too_slow") == 1


def test_a_second_request_that_trickles_in_is_ended_too(served: Served) -> None:
    connection = served.connect(HEAD + b"Content-Length: 0\r\n\r\n")
    assert b"200 OK" in answer_of(connection)

    assert trickle(connection, (SLOW[n : n + 1] for n in range(len(SLOW))), PATIENCE_SECONDS) < PATIENCE_SECONDS
    assert served.ended("head_too_slow") == 1


@pytest.mark.parametrize("framing", [b"Content-Length: 100000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
@pytest.mark.parametrize("path", [b"/read", b"/proven", b"/refuse"])
def test_a_body_that_trickles_in_is_ended(served: Served, framing: bytes, path: bytes) -> None:
    connection = served.connect(HEAD.replace(b"/read", path) + framing)

    seconds = trickle(connection, repeat(b"1\r\nx\r\n" if b"chunked" in framing else b"x"), PATIENCE_SECONDS)

    assert seconds < PATIENCE_SECONDS


def test_a_slow_request_is_answered_408(served: Served) -> None:
    connection = served.connect(HEAD + b"Content-Length: 100\r\n\r\nhalf")

    answer = answer_of(connection)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout")
    assert json.loads(body)["type"] == "urn:rapport:problem:too_slow"
    assert is_ended(connection)


def test_an_idle_connection_is_closed(served: Served) -> None:
    connection = served.connect(HEAD + b"Content-Length: 0\r\n\r\n")
    answer_of(connection)

    assert is_ended(connection)
    assert served.guard.number == 0


def test_half_open_connections_lock_nobody_out(served: Served) -> None:
    crowd = [served.connect(HEAD) for _ in range(200)]

    answers = [served.ask() for _ in range(20)]
    others = served.ask(source="127.0.0.2")

    assert all(b"200 OK" in answer for answer in [*answers, others])
    assert served.guard.number <= LIMITS.most_per_address + 1
    assert served.ended("too_many") >= len(crowd) - LIMITS.most_per_address


def test_who_makes_room_is_told_so_after_a_while_and_cannot_come_back_at_once(served: Served) -> None:
    began = time.monotonic()
    crowd = [served.connect(HEAD) for _ in range(LIMITS.most_per_address + 10)]
    eventually(lambda: served.ended("too_many") >= 10)
    first = crowd[0]
    first.settimeout(ANSWER_AFTER_SECONDS["too_many"] / 2)

    with pytest.raises(TimeoutError):
        first.recv(1)
    first.settimeout(PATIENCE_SECONDS)
    answer = answer_of(first)

    assert b" 503 " in answer
    assert ANSWER_AFTER_SECONDS["too_many"] <= time.monotonic() - began
    assert served.guard.number <= LIMITS.most_per_address


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> ConnectionLimits:
    """No connection is ended because it is slow."""
    for name in ("SILENT_SECONDS", "SLOW_START_SECONDS", "UNREAD_SECONDS"):
        monkeypatch.setattr(f"services.runtime.http.connection_guard.{name}", 1_000.0)
    return replace(LIMITS, head_seconds=1_000, body_seconds=1_000)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=NAMES)
def test_whoever_works_on_a_request_that_is_refused_stops_at_once(protocol: type, patient: ConnectionLimits) -> None:
    with serving(protocol, patient) as served:
        _is_stopped(served)


def _is_stopped(served: Served) -> None:
    begun = [served.connect(HEAD.replace(b"/read", b"/begin") + b"Content-Length: 4\r\n\r\n1") for _ in range(5)]
    eventually(lambda: len(BEGUN) == len(begun))

    for _ in range(LIMITS.most_per_address + 5):
        served.connect(HEAD)

    eventually(lambda: not BEGUN)
    assert served.ended("too_many") >= len(begun)
    assert b"200 OK" in served.ask()


def test_no_address_takes_the_room_of_all_others(served: Served) -> None:
    for number in range(2, 10):
        for _ in range(30):
            served.connect(HEAD, f"127.0.0.{number}")

    assert b"200 OK" in served.ask()
    assert served.guard.number <= LIMITS.most


def test_who_has_proven_who_they_are_makes_no_room_for_the_half_open(served: Served) -> None:
    proven = served.connect(HEAD.replace(b"/read", b"/proven") + b"Content-Length: 4\r\n\r\n")
    time.sleep(0.2)
    for _ in range(100):
        served.connect(HEAD)

    proven.sendall(b"done")

    assert answer_of(proven).endswith(b"\r\n\r\n4")


def test_a_connection_that_has_proven_who_it_is_is_still_there_after_a_crowd(served: Served) -> None:
    proven = served.connect(HEAD.replace(b"/read", b"/proven") + b"Content-Length: 0\r\n\r\n")
    assert b"200 OK" in answer_of(proven)

    for _ in range(100):
        served.connect(HEAD)
    proven.sendall(HEAD + b"Content-Length: 3\r\n\r\nyes")

    assert answer_of(proven).endswith(b"\r\n\r\n3")


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"X-Large: " + b"x" * 200_000,
        HEAD + b"X-Large: " + b"x" * 200_000 + b"\r\n\r\n",
        HEAD + b"a:b\r\n" * 50_000 + b"\r\n",
        b"POST /" + b"x" * 200_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["endless", "long", "lines", "path"],
)
def test_a_large_head_is_refused_while_it_comes(served: Served, head: bytes) -> None:
    connection = served.connect()

    with suppress(ConnectionError):
        connection.sendall(head)

    answer = answer_of(connection)
    assert not answer or b" 431 " in answer or b" 400 " in answer
    assert b"200 OK" in served.ask()


@pytest.mark.parametrize("before", [b"", HEAD + b"Content-Length: 2\r\n\r\n{}"], ids=["first", "second"])
@pytest.mark.parametrize(
    "lines",
    [b"a:b\r\n" * (MAX_HEAD_LINES + 1), b"X-Large: " + b"x" * MAX_HEAD_BYTES + b"\r\n"],
    ids=["lines", "long"],
)
def test_a_slightly_too_large_head_is_answered_431(served: Served, before: bytes, lines: bytes) -> None:
    connection = served.connect(before)
    if before:
        assert b" 200 OK" in answer_of(connection)

    connection.sendall(HEAD + lines + b"Content-Length: 2\r\n\r\n")
    answer = answer_of(connection)

    assert b" 431 " in answer
    assert b"16384 bytes in 200 lines" in answer


@pytest.mark.parametrize(
    "sent",
    [
        b"READ\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200,
        HEAD + b"no colon\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
    ],
    ids=["line", "tls", "header", "chunk", "length"],
)
def test_what_is_no_http_is_told_so_as_any_other_fault_is(served: Served, sent: bytes) -> None:
    answer = answer_of(served.connect(sent))

    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 400 " in head
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["detail"].startswith("HTTP/1.1 is served here, and this is none: ")


def test_what_is_no_http_behind_a_request_is_not_told_as_the_answer_of_that(served: Served) -> None:
    """Whoever hears 400 of an event that is on the log takes it for refused."""
    connection = served.connect(HEAD.replace(b"/read", b"/slow") + b"Content-Length: 2\r\n\r\n{}")
    connection.sendall(b"\x16\x03\x01\x02\r\n\r\n")

    answer = answer_of(connection)

    assert not answer or answer.startswith(b"HTTP/1.1 200 OK")
    assert b"200 OK" in served.ask()


@pytest.mark.parametrize(
    "length", [b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}zz"]
)
def test_a_broken_body_of_a_request_sent_ahead_is_not_told_as_the_answer_of_the_one_before(
    served: Served, length: bytes
) -> None:
    first = HEAD.replace(b"/read", b"/slow") + b"Content-Length: 2\r\n\r\n{}"
    connection, text = served.connect(first + HEAD + length), b""

    while part := connection.recv(65_536):
        text += part

    assert re.findall(rb"HTTP/1.1 (\d+)", text) == [b"200", b"400"]


def test_a_request_in_work_is_not_ended_by_the_half_of_one_sent_ahead(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing more is read of the second one before the first is answered."""
    monkeypatch.setattr("services.runtime.http.connection_guard.SILENT_SECONDS", 0.01)
    first = HEAD.replace(b"/read", b"/slow") + b"Content-Length: 2\r\n\r\n{}"
    monkeypatch.setattr("services.runtime.http.server.TICKS_PER_SWEEP", 1)
    connection = served.connect(first * 3 + HEAD + b"Content-Length: 4\r\n\r\nha")

    text = b""
    while part := connection.recv(65_536):
        text += part

    assert re.findall(rb"HTTP/1.1 (\d+)", text) == [b"200", b"200", b"200", b"408"]


def test_whoever_goes_away_with_requests_ahead_is_no_error_of_ours(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    slow = HEAD.replace(b"/read", b"/slow") + b"Content-Length: 2\r\n\r\n{}"
    gone = [served.connect(slow * count) for count in (1, 2, 3)]
    # The second request of the last one is in work.
    assert answer_of(gone[-1])

    for connection in gone:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    time.sleep(1.0)

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_chunks_of_a_byte_are_refused_before_they_cost_anything(served: Served) -> None:
    connection = served.connect(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")

    with suppress(ConnectionError):
        connection.sendall(b"1\r\nx\r\n" * 200_000)
    answer = answer_of(connection)

    assert not answer or b" 400 " in answer
    assert served.ended("framing") == 1
    assert b"200 OK" in served.ask()


@pytest.mark.parametrize("path", ["/read", "/refuse", "/anything"])
@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 12\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"Content-Length: 2, 3\r\n\r\n{}",
        b"Transfer-Encoding: identity, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nContent-Length: 2\r\n\r\n{}",
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_a_body_whose_length_is_told_twice_is_refused_and_the_connection_ended(
    served: Served, path: str, framing: bytes
) -> None:
    connection = served.connect(HEAD.replace(b"/read", path.encode()) + framing)

    assert answer_of(connection).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert is_ended(connection)


def test_a_response_that_is_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.runtime.http.connection_guard.UNREAD_SECONDS", 1.0)
    running = started(H11Protocol)

    reader = running.connect(HEAD.replace(b"/read", b"/long") + b"Content-Length: 0\r\n\r\n")
    assert reader.recv(1)
    eventually_none(lambda: running.guard.number)

    assert running.ended("answer_not_taken") == 1
    reader.close()
    running.stop.set()
    running.thread.join(10)


def eventually_none(number: Callable[[], int]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while number() and time.monotonic() < until:
        time.sleep(0.05)
    assert number() == 0


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=NAMES)
def test_a_stop_does_not_wait_for_slow_connections(protocol: type, patient: ConnectionLimits) -> None:
    running = started(protocol, patient)
    running.ask()
    for sent in (b"", HEAD, HEAD + b"Content-Length: 9\r\n\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n"):
        running.connect(sent)
    running.connect(HEAD.replace(b"/read", b"/long") + b"Content-Length: 0\r\n\r\n")
    time.sleep(0.3)

    running.stop.set()
    running.thread.join(PATIENCE_SECONDS)

    assert not running.thread.is_alive()
    running.opened.close()


def test_an_answer_does_not_wait_for_acknowledgements(served: Served) -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    connection = served.connect()
    took = []
    for _ in range(50):
        began = time.monotonic()
        connection.sendall(HEAD + b"Content-Length: 0\r\n\r\n")
        answer_of(connection)
        took.append(time.monotonic() - began)

    # Each would take 40 ms else; what the machine does meanwhile delays some.
    assert sorted(took)[10] < 0.03


def test_a_connection_without_a_request_is_closed(served: Served) -> None:
    connection = served.connect()

    assert is_ended(connection)
    assert served.ended("head_too_slow") == 1


@pytest.mark.parametrize("size", [1, 5_000, 356_000, 2**20])
@pytest.mark.parametrize("at_once", [True, False], ids=["in one go", "after the answer"])
def test_a_connection_goes_on_after_a_body_that_nobody_read(served: Served, size: int, at_once: bool) -> None:  # noqa: FBT001
    refused = HEAD.replace(b"/read", b"/refuse") + b"Content-Length: %d\r\n\r\n" % size
    body, after = b"x" * size, HEAD + b"Content-Length: 300000\r\n\r\n" + b"y" * 300_000
    connection = served.connect(refused + body + after if at_once else refused)

    first = answer_of(connection)
    if not at_once:
        connection.sendall(body + after)

    both = first if b"200 OK" in first else first + answer_of(connection)
    assert b"401 " in both
    assert both.endswith(b"\r\n\r\n300000")
