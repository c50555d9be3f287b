"""A real HTTP receiver of webhooks: keeps what came, and answers as it is told; and how long tests wait."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from tests.http_server import serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STOP_WITHIN_SECONDS = 15.0
"""A service promises to end 2 s after SIGTERM; the rest is for a machine that is slow and busy with other tests."""
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 1.0


@dataclass(frozen=True)
class Call:
    """`wrong`: what was wrong with the signature when it came, since a timestamp is good for five minutes only."""

    headers: Mapping[str, str]
    body: bytes
    wrong: WebhookVerificationError | None

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["data"]
        return found

    def verified(self) -> dict[str, Any]:
        """Raises WebhookVerificationError unless the signature was right."""
        if self.wrong is not None:
            raise self.wrong
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receiver:
    """`answer`: the status of a call, and headers; it may block."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    answer: Callable[[Call], tuple[int, Mapping[str, str]]] = lambda _: (200, {})

    def of(self, relationship: str) -> list[Call]:
        return [call for call in list(self.calls) if call.data["relationship"] == relationship]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    with serving(_request_class(receiver)) as url:
        receiver.url = f"{url}/hook"
        yield receiver


def eventually(holds: Callable[[], object], seconds: float = 180, what: str = "it") -> None:
    """Returns as soon as it holds; fails after so many seconds."""
    until = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if holds():
            return
        now = time.monotonic()
        assert now < until, f"{what} did not come to be within {seconds} s"
        # Most of the time is left to what is waited for: a question to a broker takes longer than the pause after it.
        time.sleep(min(max(SHORTEST_PAUSE_SECONDS, 2 * (now - began)), LONGEST_PAUSE_SECONDS))


def _request_class(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: else every answer waits 40 ms for an acknowledgement

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True  # the caller was killed while it wrote: nothing has come
                return
            sent = {name.lower(): value for name, value in self.headers.items()}
            call = Call(sent, body, _wrong_with(sent, body))
            receiver.calls.append(call)
            status, headers = receiver.answer(call)
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")
            except OSError:
                self.close_connection = True  # the caller was killed while it waited

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            """The test looks at what was received."""

    return Request


def _wrong_with(headers: Mapping[str, str], body: bytes) -> WebhookVerificationError | None:
    try:
        Webhook(SECRET).verify(body, dict(headers))
    except WebhookVerificationError as wrong:
        return wrong
    return None
