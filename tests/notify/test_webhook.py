"""The webhook channel against a real receiver."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from schemas.alerts import Delivery
from services.notify.channels.webhook import WebhookChannel, WebhookOptions
from services.notify.domain.alerts import Destination, alert_changed, planned
from services.notify.domain.verdict import Again, Arrived, Never
from tests.notify.building import Pair, clock, day, hour, new_desk, take
from tests.receiver import SECRET, Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def channel(url: str, *, allow_private: bool = True, seconds: float = 5) -> WebhookChannel:
    options = WebhookOptions(
        url, SecretStr(SECRET), allow_private, seconds, link="https://pairs.example.org/{relationship}"
    )
    return WebhookChannel(options, lambda: datetime.now(UTC))


def delivery() -> Delivery:
    happened = take(new_desk(), Pair().changed(hour(0), health=30.0), clock(day(2)))
    return planned(alert_changed(happened[0], day(9)), [Destination("webhook", "hook")])[0]


def test_a_message_is_signed_and_carries_the_id_of_its_delivery(receiver: Receiver) -> None:
    sent = delivery()
    with channel(receiver.url) as webhook:
        verdicts = [webhook.send(sent), webhook.send(sent)]

    assert verdicts == [Arrived("HTTP 200")] * 2
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
        assert webhook.send(delivery()) == Never("HTTP 307: redirects are not followed")

    assert len(receiver.calls) == 1


def test_a_private_address_is_refused_unless_allowed(receiver: Receiver) -> None:
    with channel(receiver.url.replace("127.0.0.1", "localhost"), allow_private=False) as webhook:
        verdict = webhook.send(delivery())

    assert isinstance(verdict, Never)
    assert "no public address" in verdict.status
    assert receiver.calls == []


def test_a_receiver_that_is_away_or_silent_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with channel(f"http://127.0.0.1:{port}/", seconds=0.2) as webhook:
            assert isinstance(late := webhook.send(delivery()), Again)
    with channel(f"http://127.0.0.1:{port}/") as webhook:
        assert isinstance(away := webhook.send(delivery()), Again)

    assert "Timeout" in late.status
    assert "ConnectError" in away.status


def test_a_name_that_nobody_knows_is_tried_again() -> None:
    with channel("http://nobody.invalid/") as webhook:
        assert isinstance(webhook.send(delivery()), Again)
