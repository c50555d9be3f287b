"""The webhook channel against a real receiver."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from schemas.alerts import Delivery
from services.notify.channels.addresses import is_public
from services.notify.channels.http_channels import WebhookChannel
from services.notify.channels.verdicts import http_verdict
from services.notify.domain.deliveries import (
    DeliveryAccepted,
    DestinationDown,
    MessageRejected,
    OutcomeUnknown,
    RetryLater,
    Verdict,
)
from services.notify.domain.destinations import HttpTarget, WebhookOptions
from tests.notify.sending import Waiting, episode, rendered, sending
from tests.receiver import SECRET, Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@contextmanager
def channel(url: str, *, allow_private: bool = True, seconds: float = 5) -> Iterator[Waiting]:
    options = WebhookOptions(HttpTarget(url, allow_private, seconds), SecretStr(SECRET))
    with sending(lambda: WebhookChannel(options, lambda: datetime.now(UTC))) as found:
        yield found


def delivery() -> Delivery:
    return rendered(episode("webhook")[0])


def test_a_message_is_signed_and_carries_the_id_of_its_delivery(receiver: Receiver) -> None:
    sent = delivery()
    with channel(receiver.url) as webhook:
        verdicts = [webhook.send(sent), webhook.send(sent)]

    assert verdicts == [DeliveryAccepted("HTTP 200")] * 2
    assert [call.webhook_id for call in receiver.calls] == [sent.delivery_id] * 2
    assert receiver.calls[0].verified()["data"]["links"] == {"relationship": "https://pairs.example.org/4F2"}
    assert receiver.calls[0].body == receiver.calls[1].body


def test_the_name_of_the_receiver_stays_in_the_host_header(receiver: Receiver) -> None:
    with channel(receiver.url.replace("127.0.0.1", "localhost")) as webhook:
        webhook.send(delivery())

    assert receiver.calls[0].headers["host"].startswith("localhost:")


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answer = lambda _: (307, {"location": receiver.url})
    with channel(receiver.url) as webhook:
        assert webhook.send(delivery()) == DestinationDown("HTTP 307: redirects are not followed")

    assert len(receiver.calls) == 1


def test_a_private_address_is_refused_unless_allowed(receiver: Receiver) -> None:
    with channel(receiver.url.replace("127.0.0.1", "localhost"), allow_private=False) as webhook:
        verdict = webhook.send(delivery())

    assert isinstance(verdict, DestinationDown)
    assert "no public address" in verdict.status
    assert receiver.calls == []


def test_of_a_silent_receiver_nobody_knows_and_one_that_is_away_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with channel(f"http://127.0.0.1:{port}/", seconds=0.2) as webhook:
            assert isinstance(late := webhook.send(delivery()), OutcomeUnknown)
    with channel(f"http://127.0.0.1:{port}/") as webhook:
        assert isinstance(away := webhook.send(delivery()), DestinationDown)

    assert "Timeout" in late.status
    assert "ConnectError" in away.status


def test_a_name_that_nobody_knows_is_a_destination_that_is_down() -> None:
    with channel("http://nobody.invalid/") as webhook:
        assert isinstance(webhook.send(delivery()), DestinationDown)


@pytest.mark.parametrize(
    "address",
    [
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "fec0::1",
        "::7f00:1",
        "::8.8.8.8",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1%eth0",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "2001:4860::5efe:7f00:1",
        "2001:4860::200:5efe:a00:1",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "100::1",
        "ff0e::1",
        "192.88.99.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_an_address_that_leads_into_a_network_or_holds_another_address_counts_as_private(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "2a00:1450:4001::200e", "::ffff:8.8.8.8"])
def test_a_host_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]", "[fec0::1]"])
def test_a_webhook_to_an_address_in_other_clothes_is_refused(host: str) -> None:
    with channel(f"http://{host}:9/", allow_private=False) as webhook:
        verdict = webhook.send(delivery())

    assert isinstance(verdict, DestinationDown)
    assert "no public address" in verdict.status


@contextmanager
def dripping(head: bytes, drop: bytes) -> Iterator[str]:
    """A server that reads a request, sends `head`, and then a drop every 50 ms for as long as it is listened to."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)

        def drip(caller: socket.socket) -> None:
            with caller, suppress(OSError):
                caller.recv(65536)
                caller.sendall(head)
                while not stop.wait(0.05):
                    caller.sendall(drop)

        def serve() -> None:
            while not stop.is_set():
                with suppress(TimeoutError):
                    threading.Thread(target=drip, args=(server.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            stop.set()
            thread.join(5)


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"x" * 100_000),
    ],
)
def test_a_receiver_that_drips_its_headers_does_not_outlast_the_time_that_it_has(head: bytes, drop: bytes) -> None:
    began = time.monotonic()
    with dripping(head, drop) as url, channel(url, seconds=0.5) as webhook:
        verdict = webhook.send(delivery())

    assert isinstance(verdict, OutcomeUnknown)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("length", [b"content-length: 1000000000\r\n", b"transfer-encoding: chunked\r\n"])
def test_a_receiver_that_drips_its_body_has_answered(length: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + length + b"\r\n"
    began = time.monotonic()
    with dripping(head, b"1\r\nx\r\n") as url, channel(url, seconds=0.5) as webhook:
        verdict = webhook.send(delivery())

    assert verdict == DeliveryAccepted("HTTP 200")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("wait", ["9" * 5_000, "Sun, 01 Mar 9999 08:03:00 GMT", "\u0662", "1e9", "-5", "x" * 50_000])
def test_an_absurd_wish_to_wait_is_bounded(wait: str) -> None:
    verdict = http_verdict(503, wait, datetime.now(UTC))

    assert isinstance(verdict, RetryLater)
    assert verdict.wait is None or timedelta(0) <= verdict.wait <= timedelta(days=10)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc", DeliveryAccepted("HTTP 200")),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", DeliveryAccepted("HTTP 200")),
        (b"HTTP/1.1 422 No\r\ncontent-length: 100\r\n\r\nabc", MessageRejected("HTTP 422")),
        (b"HTTP/1.1 200 OK\r\ncontent-le", OutcomeUnknown("RemoteProtocolError")),
        (b"", OutcomeUnknown("RemoteProtocolError")),
    ],
)
def test_whoever_closes_the_connection_after_the_status_has_answered(answer: bytes, verdict: Verdict) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            caller = server.accept()[0]
            with caller:
                caller.recv(65536)
                caller.sendall(answer)
                caller.shutdown(socket.SHUT_WR)
                # Closed over bytes that nobody has read, the connection would be reset, and the answer lost.
                while caller.recv(65536):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with channel(f"http://127.0.0.1:{server.getsockname()[1]}/") as webhook:
            assert webhook.send(delivery()) == verdict
        thread.join(5)
