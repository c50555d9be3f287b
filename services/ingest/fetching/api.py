"""A client of tools' APIs: pagination, sync tokens and Retry-After."""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from schemas.primitives import to_rfc3339
from services.ingest.domain.cloudevents import Parsed, read_json
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.calendar import ApiSettings
from services.ingest.sources.tool import Connection
from services.runtime import log
from services.runtime.bounded_http import BoundedHttp, Bounds, HttpAnswer
from services.runtime.loop import TryLaterError


@dataclass(frozen=True)
class Gone:
    """The resource does not exist (any more) or is not visible to us: APIs answer both alike."""


@dataclass(frozen=True)
class Stale:
    """The sync token is too old, or belongs to another query: a full sync is needed."""


_TOKEN = re.compile(r"[A-Za-z0-9._~%+/=:-]{1,4096}")


def sync_token(value: object) -> str | None:
    """The token as the API returns it. None for a malformed one: then the next fetch is a full sync."""
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else None


@dataclass(frozen=True)
class Round:
    """`body` is the response, or all pages of it as one. `token` is for the next incremental sync; None if the API has
    none for this resource."""

    body: Mapping[str, object]
    token: str | None = None


Fetched = Round | Gone | Stale | Rejected


# Entries may be moved or cancelled after their time; older entries are ignored.
BEHIND = timedelta(days=14)
# People book a series for half a year; one without an end would go on for ever.
AHEAD = timedelta(days=270)
# The end of the window moves only with a full sync, so that it is always at least AHEAD less this in the future.
FULL_SYNC_AFTER = timedelta(days=30)


def window(now: datetime) -> tuple[str, str]:
    return to_rfc3339(now - BEHIND), to_rfc3339(now + AHEAD)


# The longest Retry-After that is respected: beyond it an operator should see the fetch fail again.
LONGEST_WAIT = timedelta(hours=1)
NO_WAIT = timedelta(0)


class RetryAfterGate:
    """Remembers the Retry-After of each connection. For any thread, as long as no two use the same connection."""

    def __init__(self) -> None:
        self._until: dict[str, datetime] = {}

    def check(self, connection: str, now: datetime) -> None:
        """Raises TryLaterError until the Retry-After has passed."""
        until = self._until.get(connection)
        if until is not None and now < until:
            raise TryLaterError(f"connection {connection}: its API asks to wait until {until.isoformat()}")
        self._until.pop(connection, None)

    def close(self, connection: str, answer: HttpAnswer, now: datetime) -> str:
        """Returns the reason. Retry-After is seconds or a date (RFC 9110). Without it, or for any other value, only the
        backoff of the fetch applies."""
        header, wait = answer.headers.get("retry-after", ""), NO_WAIT
        if header.isascii() and header.isdecimal():
            wait = timedelta(seconds=int(header[:9]))
        else:
            with suppress(ValueError, TypeError):  # no date, or one without a zone
                wait = max(NO_WAIT, parsedate_to_datetime(header) - now)
        wait = min(wait, LONGEST_WAIT)
        self._until[connection] = now + wait
        return f"connection {connection}: the API answers {answer.status}, again in {wait.total_seconds():.0f} s"


OK, NOT_FOUND, GONE, UNAUTHORIZED, FORBIDDEN, BAD_REQUEST = 200, 404, 410, 401, 403, 400
# Retryable beside 5xx: a timeout, too early, too many requests.
RETRYABLE = frozenset({408, 425, 429})
# Error codes of Google with status 403 that mean 429.
RATE_LIMITED = ("ratelimitexceeded", "quotaexceeded")
# Graph's error codes for an expired sync token, where it does not answer 410.
STALE = ("syncstatenotfound", "syncstateinvalid", "resyncrequired", "fullsyncrequired")
# The error code is among the first bytes of an error response.
MAX_READ = 2_000
# For one response, however slowly it arrives, and for a complete fetch: every page of a calendar.
ANSWER_SECONDS, MAX_SECONDS = 30.0, 300.0
# Of all responses of a fetch: ten thousand entries of a calendar with all attendees.
MAX_OCTETS = 32 * 2**20


@dataclass(frozen=True)
class ApiQuestion:
    """A request. `path` is below the API's address, or a full URL that the API itself returned. `resumes`: it has a
    sync token, which may have expired."""

    path: str
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    resumes: bool = False


class Api:
    """For one fetch, which has MAX_SECONDS and MAX_OCTETS in all. `gate` is shared by all connections."""

    def __init__(
        self, http: BoundedHttp, connection: Connection, gate: RetryAfterGate, now: Callable[[], datetime]
    ) -> None:
        assert isinstance(connection.settings, ApiSettings)
        self._http, self._connection, self._gate, self._now = http, connection, gate, now
        self._until, self._left = time.monotonic() + MAX_SECONDS, MAX_OCTETS
        self._base = connection.settings.api_url
        self._log = log.get(__name__)

    @property
    def name(self) -> str:
        return self._connection.connection_scope.connection

    def get(self, question: ApiQuestion) -> Fetched:
        """Raises TryLaterError when the tool is away or its Retry-After has not passed."""
        self._gate.check(self.name, self._now())
        path = question.path
        url = path if path.startswith(("http://", "https://")) else f"{self._base}/{path}"
        if not url.startswith(f"{self._base}/"):
            return rejected("forbidden", "", f"connection {self.name}: the API leads elsewhere, its token does not")
        answer = self._answer(url, question)
        if answer.cut == "octets":
            return rejected(
                "too_large", "", f"connection {self.name}: the API's answers have more than {MAX_OCTETS} bytes"
            )
        self._left -= len(answer.body)
        return self._interpret(answer, question)

    def _answer(self, url: str, question: ApiQuestion) -> HttpAnswer:
        seconds = min(ANSWER_SECONDS, self._until - time.monotonic())
        if seconds <= 0:
            raise TryLaterError(f"connection {self.name}: its API takes more than {MAX_SECONDS:g} s for all its pages")
        try:
            file = self._connection.api_token_file
            token = file.read_text("utf-8").strip() if file else self._connection.api_token
            defaults = {"authorization": f"Bearer {token}", "accept": "application/json", "user-agent": "rapport"}
            headers = {**defaults, **(question.headers or {})}
            answer = self._http.ask(
                lambda: httpx.Request("GET", url, params=question.query, headers=headers), Bounds(seconds, self._left)
            )
        except TimeoutError as late:
            raise TryLaterError(f"connection {self.name}: no answer from the API within {seconds:.0f} s") from late
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as away:
            raise TryLaterError(f"connection {self.name}: no answer from the API: {away}") from away
        if answer.cut == "seconds":
            raise TryLaterError(f"connection {self.name}: no whole answer from the API within {seconds:.0f} s")
        return answer

    def _interpret(self, answer: HttpAnswer, question: ApiQuestion) -> Fetched:
        code, words = answer.status, answer.body[:MAX_READ].decode(errors="replace")
        if code == OK:
            parsed = read_json(answer.body)
            fault = parsed.errors[0].reason if isinstance(parsed, Rejected) else "is no object"
            if isinstance(parsed, Parsed) and isinstance(parsed.value, dict):
                return Round(parsed.value)
            return rejected("malformed", "", f"connection {self.name}: the API's answer {fault}")
        is_limited = code == FORBIDDEN and _contains(RATE_LIMITED, words)
        if code in RETRYABLE or code >= 500 or is_limited:  # noqa: PLR2004 (HTTP)
            raise TryLaterError(self._gate.close(self.name, answer, self._now()))
        if question.resumes and (code in {GONE, BAD_REQUEST} or _contains(STALE, words)):
            return Stale()
        if code in {NOT_FOUND, GONE}:
            return Gone()
        # The response's text is not kept: APIs quote addresses and tokens in it.
        self._log.error("tool_refuses_us", connection=self.name, tool=self._connection.tool.name, status=code)
        if code in {UNAUTHORIZED, FORBIDDEN}:
            words = "renew its api_token, or give it the scopes that the README names; then requeue"
            return rejected("forbidden", "", f"connection {self.name}: the API answers {code}: {words}")
        return rejected("invalid", "", f"connection {self.name}: the API answers {code}")


# More pages than any calendar has: an API that always returns a next page is broken.
MAX_PAGES = 400
Body = Mapping[str, object]


def pages(
    api: Api,
    first: ApiQuestion,
    items: str,
    following: Callable[[Body], ApiQuestion | None],
    token: Callable[[Body], str | None],
) -> Fetched:
    """The lists under `items` of all pages, as one page. `following` returns the request after a page, `token` the sync
    token of the last one."""
    found: list[object] = []
    question = first
    for _ in range(MAX_PAGES):
        answer = api.get(question)
        if not isinstance(answer, Round):
            return answer
        values = answer.body.get(items)
        found += values if isinstance(values, list) else []
        after = following(answer.body)
        if after is None:
            return Round({items: found}, token(answer.body))
        question = after
    return rejected("too_large", "", f"connection {api.name}: the API never comes to the last page")


def _contains(codes: tuple[str, ...], words: str) -> bool:
    return any(code in words.lower() for code in codes)
