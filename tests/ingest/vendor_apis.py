"""The APIs of Google Calendar and Microsoft Graph on loopback, as far as they are documented for reading: pages, sync
tokens that expire, deltas, attendance reports; and failures as a test scripts them."""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from tests.http_server import serving

TOKEN = "api-token-of-an-hour"
# What Google refuses beside a sync token.
NOT_WITH_TOKEN = {"iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "timeMin", "timeMax"}
GOOGLE, GRAPH = "/calendar/v3/", "/v1.0/"


class Reply(NamedTuple):
    status: int
    body: Any = None
    headers: Mapping[str, str] = {}


class Asked(NamedTuple):
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Vendors:
    """`changes`: by calendar, the entries in the order in which they were written. `resources`: what else Graph has, by
    path. `scripted` answers come before all others, None lets a question through."""

    url: str = ""
    token: str = TOKEN
    page: int = 2
    era: int = 0
    changes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    resources: dict[str, Any] = field(default_factory=dict)
    scripted: deque[Reply | None] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)

    @property
    def google(self) -> str:
        return self.url + GOOGLE.rstrip("/")

    @property
    def graph(self) -> str:
        return self.url + GRAPH.rstrip("/")

    def write(self, calendar: str, *entries: dict[str, Any]) -> None:
        self.changes.setdefault(calendar, []).extend(entries)

    def forget_tokens(self) -> None:
        self.era += 1

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        scripted = self.scripted.popleft() if self.scripted else None
        if scripted is not None:
            return scripted
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return Reply(401, {"error": {"code": 401, "message": "Invalid Credentials"}})
        if asked.path.startswith(GOOGLE):
            return self._google(asked)
        return self._graph(asked)

    def _google(self, asked: Asked) -> Reply:
        calendar = unquote(asked.path.removeprefix(GOOGLE + "calendars/").removesuffix("/events"))
        query, token = asked.query, asked.query.get("syncToken")
        if calendar not in self.changes:
            return Reply(404, {"error": {"code": 404, "message": "Not Found"}})
        if token and NOT_WITH_TOKEN & query.keys():
            return Reply(400, {"error": {"code": 400, "message": "Sync token cannot be used with these parameters"}})
        if token and not token.startswith(f"s{self.era}."):
            return Reply(410, {"error": {"code": 410, "errors": [{"reason": "fullSyncRequired"}]}})
        found = self._since(calendar, int(token.partition(".")[2]) if token else 0)
        start = int(query.get("pageToken", "0"))
        page: dict[str, Any] = {"kind": "calendar#events", "items": found[start : start + self.page]}
        if start + self.page < len(found):
            return Reply(200, page | {"nextPageToken": str(start + self.page)})
        return Reply(200, page | {"nextSyncToken": f"s{self.era}.{len(self.changes[calendar])}"})

    def _graph(self, asked: Asked) -> Reply:
        path = unquote(asked.path.removeprefix(GRAPH))
        view = path.removesuffix("/delta")
        if view != path and view in self.changes:
            return self._delta(view, asked)
        if path in self.resources:
            return self._resource(path, asked)
        return Reply(404, {"error": {"code": "ErrorItemNotFound", "message": f"{path} is not there"}})

    def _delta(self, view: str, asked: Asked) -> Reply:
        token = asked.query.get("$skiptoken") or asked.query.get("$deltatoken")
        if token is None and not {"startDateTime", "endDateTime"} <= asked.query.keys():
            return Reply(400, {"error": {"code": "ErrorInvalidParameter", "message": "startDateTime is required"}})
        era, since, start = map(int, token.split(".")) if token else (self.era, 0, 0)
        if era != self.era:
            return Reply(410, {"error": {"code": "SyncStateNotFound", "message": "The sync state is not found"}})
        found = self._since(view, since)
        base = f"{self.url}{asked.path}"
        page: dict[str, Any] = {"value": found[start : start + self.page]}
        if start + self.page < len(found):
            return Reply(200, page | {"@odata.nextLink": f"{base}?$skiptoken={era}.{since}.{start + self.page}"})
        done = len(self.changes[view])
        return Reply(200, page | {"@odata.deltaLink": f"{base}?$deltatoken={era}.{done}.0"})

    def _resource(self, path: str, asked: Asked) -> Reply:
        body = self.resources[path]
        if not isinstance(body, list):
            expanded = asked.query.get("$expand") == "attendanceRecords"
            return Reply(200, {k: v for k, v in body.items() if expanded or not k.startswith("attendanceRecords")})
        start = int(asked.query.get("$skip", "0"))
        page: dict[str, Any] = {"value": body[start : start + self.page]}
        if start + self.page < len(body):
            page["@odata.nextLink"] = f"{self.url}{quote(asked.path)}?$skip={start + self.page}"
        return Reply(200, page)

    def _since(self, calendar: str, since: int) -> list[dict[str, Any]]:
        return list({one["id"]: one for one in self.changes[calendar][since:]}.values())


@contextmanager
def vendor_apis() -> Iterator[Vendors]:
    vendors = Vendors()
    with serving(_request_class(vendors)) as url:
        vendors.url = url
        yield vendors


def _request_class(vendors: Vendors) -> type[BaseHTTPRequestHandler]:
    class Request(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: else every answer waits 40 ms for an acknowledgement

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            sent = {name.lower(): value for name, value in self.headers.items()}
            reply = vendors.answer(Asked(parts.path, dict(parse_qsl(parts.query)), sent))
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            """The test looks at what was asked."""

    return Request
