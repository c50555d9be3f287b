"""Emulators of Slack, Teams and PagerDuty by their documentation and reports of users: what they accept, and how they
refuse."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.http_server import serving

ROUTING_KEY = "R0UT1NGKEYR0UT1NGKEYR0UT1NGKEY00"
Answer = tuple[int, Mapping[str, str], bytes]


@dataclass
class Emulator(ABC):
    """`accepted`: the accepted requests. `fault`: the answer to every request instead, if any."""

    path: str
    url: str = ""
    accepted: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 0
    fault: Answer | None = None

    @abstractmethod
    def answer(self, headers: Mapping[str, str], body: bytes) -> Answer: ...

    def answered(self, headers: Mapping[str, str], body: bytes) -> Answer:
        self.attempts += 1
        return self.fault or self.answer(headers, body)


@dataclass
class Slack(Emulator):
    path: str = "/services/T0/B0/secret0secret"

    def answer(self, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            message = json.loads(body)
        except ValueError:
            return 400, {}, b"invalid_payload"
        blocks = message.get("blocks", [])
        texts = [block["text"]["text"] for block in blocks]
        fits = all(
            0 < len(text) <= (150 if block["type"] == "header" else 3_000)
            for text, block in zip(texts, blocks, strict=True)
        )
        if len(blocks) > 50 or not fits or headers["content-type"] != "application/json":
            return 400, {}, b"invalid_blocks"
        self.accepted.append(message)
        return 200, {}, b"ok"


@dataclass
class Teams(Emulator):
    path: str = "/workflows/0/triggers/manual/paths/invoke?api-version=1&sig=secret0secret"

    def answer(self, headers: Mapping[str, str], body: bytes) -> Answer:
        if "authorization" in headers:
            return teams_error(401, "DirectApiAuthorizationRequired")
        message = json.loads(body)
        (attachment,) = message.get("attachments") or [{}]
        card = attachment.get("content", {})
        is_card = (
            attachment.get("contentType") == "application/vnd.microsoft.card.adaptive" and "contentUrl" in attachment
        )
        if message.get("type") != "message" or not is_card or card.get("type") != "AdaptiveCard":
            return teams_error(400, "TriggerInputSchemaMismatch")
        if card["version"] not in {"1.2", "1.3", "1.4"} or len(json.dumps(message)) > 28_000:
            return 413, {}, b""
        self.accepted.append(card)
        return 202, {}, b""


@dataclass
class PagerDuty(Emulator):
    """`incidents` by dedup key: the open one and those before it, each with its log."""

    path: str = "/v2/enqueue"
    incidents: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def answer(self, headers: Mapping[str, str], body: bytes) -> Answer:  # noqa: ARG002 (of the base class)
        event = json.loads(body)
        errors = _faults_of(event)
        if errors:
            refusal = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
            return 400, {}, json.dumps(refusal).encode()
        self.accepted.append(event)
        self._apply(event)
        answer = {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}
        return 202, {}, json.dumps(answer).encode()

    def states(self) -> list[str]:
        return [incident["state"] for found in self.incidents.values() for incident in found]

    def _apply(self, event: dict[str, Any]) -> None:
        """A trigger opens an incident, or is appended to the open one; the others change the open one, if there is."""
        found = self.incidents.setdefault(event["dedup_key"], [])
        open_ = next((one for one in found if one["state"] != "resolved"), None)
        match event["event_action"]:
            case "trigger" if open_ is None:
                found.append({"state": "triggered", "log": [event["payload"]["summary"]]})
            case "trigger":
                assert open_ is not None
                open_["log"].append(event["payload"]["summary"])
            case "acknowledge" if open_ is not None:
                open_["state"] = "acknowledged"
            case "resolve" if open_ is not None:
                open_["state"] = "resolved"


def teams_error(status: int, code: str) -> Answer:
    return status, {}, json.dumps({"error": {"code": code, "message": "as it is said to users"}}).encode()


@contextmanager
def emulating(found: Emulator) -> Iterator[Emulator]:
    with serving(_request_class(found.answered)) as url:
        found.url = f"{url}{found.path}"
        yield found


def _faults_of(event: dict[str, Any]) -> list[str]:
    faults = []
    if event.get("routing_key") != ROUTING_KEY:
        faults.append("routing_key is invalid")
    if not 0 < len(event.get("dedup_key", "")) <= 255:
        faults.append("dedup_key is too long")
    payload = event.get("payload", {})
    if event["event_action"] == "trigger":
        if not 0 < len(payload.get("summary", "")) <= 1_024:
            faults.append("payload.summary is missing or too long")
        if payload.get("severity") not in {"critical", "error", "warning", "info"} or not payload.get("source"):
            faults.append("payload.severity or payload.source is invalid")
    return faults


def _request_class(answer: Callable[[Mapping[str, str], bytes], Answer]) -> type[BaseHTTPRequestHandler]:
    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True  # the caller was killed while it wrote: nothing has come
                return
            status, headers, said = answer({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            """The test inspects what was accepted."""

    return Request
