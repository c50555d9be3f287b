"""The board as a process beside notify: from a score to an acknowledged alert, with a token of the command line."""

import signal
import socket

import httpx
import pytest
from click.testing import CliRunner

from services.notify.__main__ import main
from services.notify.topics import NotifyTopics
from tests import plain_http
from tests.notify.board.world import hidden_fields, signed_in
from tests.notify.building import Pair, clock, day, hour
from tests.notify.conftest import Notify
from tests.receiver import Receiver, eventually

KEY = "a key that sessions outlive a restart by"


@pytest.fixture
def topics(notify: Notify, monkeypatch: pytest.MonkeyPatch) -> Notify:
    """Commands work on the topics of this test."""
    monkeypatch.setenv("RAPPORT_KAFKA", notify.settings.kafka)
    monkeypatch.setattr(NotifyTopics, "at", classmethod(lambda _, __: notify.names))
    return notify


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_up(url: str) -> bool:
    try:
        return plain_http.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_an_alert_is_seen_and_acknowledged_by_whoever_has_a_token_and_after_a_restart(
    topics: Notify, receiver: Receiver
) -> None:
    port = free_port()
    url, settings = (
        f"http://127.0.0.1:{port}",
        {"RAPPORT_NOTIFY_BOARD_PORT": str(port), "RAPPORT_NOTIFY_BOARD_KEY": KEY},
    )
    topics.start()
    board = topics.start("board", **settings)
    topics.write(Pair().changed(hour(0), health=38.0), clock(day(2)))
    secret = run("token", "create", "--tenant", "acme", "--person", "p-3", "--role", "coordinator", *PROGRAM).strip()
    eventually(lambda: receiver.of("4F2"), what="the webhook")
    eventually(lambda: is_up(url), what="the board")
    eventually(lambda: plain_http.post(f"{url}/login", data={"token": secret}).status_code == 303, what="the token")

    with signed_in(url, secret) as client:
        eventually(lambda: "pair 4F2" in client.get("/").text, what="the alert on the board")
        key = client.get("/").text.partition('data-key="')[2].partition('"')[0]
        client.post(f"/alerts/{key}/acknowledge", data=hidden_fields(client))
        eventually(lambda: "p-3 acknowledged it" in client.get(f"/alerts/{key}").text, what="what notify made of it")

        board.send_signal(signal.SIGTERM)
        assert board.wait(15) == 0
        topics.start("board", **settings)
        eventually(lambda: is_up(url), what="the board after its restart")
        again = client.get(f"/alerts/{key}")
        assert "p-3 acknowledged it" in again.text
        assert "HTTP 200" in again.text

        assert "p-3" in run("token", "list")
        run("token", "revoke", secret.removeprefix("rpb_").rpartition("_")[0])
        eventually(lambda: client.get("/").status_code == 303, what="the end of the session")
        assert "revoked" in run("token", "list")


PROGRAM = ("--program", "spruce")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "--tenant", "acme", "--person", "p", "--role", "coordinator"), "needs the programmes"),
        (("create", "--tenant", "a b", "--person", "p", "--role", "viewer"), "tenant"),
        (("revoke", "nobody"), "there is no token 'nobody'"),
    ],
)
def test_a_token_that_cannot_be_meant_is_refused(topics: Notify, arguments: tuple[str, ...], words: str) -> None:
    assert topics.names is not None

    result = CliRunner().invoke(main, ["token", *arguments])

    assert result.exit_code in {1, 2}
    assert words in result.output
