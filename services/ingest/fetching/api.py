"""Asks the API of a tool: page after page, with a sync token where there is one, and not before it wants to be
asked."""

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
    """It is not there (any more), or not for us to see: tools tell that alike."""


@dataclass(frozen=True)
class Stale:
    """The sync token is too old, or was given for other questions: read everything again."""


_TOKEN = re.compile(r"[A-Za-z0-9._~%+/=:-]{1,4096}")


def sync_token(value: object) -> str | None:
    """As a tool's API gives it; what is like no token is none, and the calendar is read anew next time."""
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else None


@dataclass(frozen=True)
class Round:
    """`body` is what the tool answers, or all pages of it as one. With `token` one asks next time; None where the tool
    has no such thing for this resource."""

    body: Mapping[str, object]
    token: str | None = None


Fetched = Round | Gone | Stale | Rejected


# What is moved or cancelled after its time is still told; older entries are history.
BEHIND = timedelta(days=14)
# People book a series for half a year; one without an end would go on for ever.
AHEAD = timedelta(days=270)
# The end of what is read moves on with each reading from the beginning: what lies so near is always known.
ANEW_AFTER = timedelta(days=30)


def window(now: datetime) -> tuple[str, str]:
    return to_rfc3339(now - BEHIND), to_rfc3339(now + AHEAD)


# Whatever a tool says: later the operator would rather see it fail again than wait.
LONGEST_WAIT = timedelta(hours=1)
NO_WAIT = timedelta(0)


class RetryAfterGate:
    """For any thread that asks for one connection at a time."""

    def __init__(self) -> None:
        self._until: dict[str, datetime] = {}

    def check(self, connection: str, now: datetime) -> None:
        """Raises TryLaterError as long as the tool wants to be left alone."""
        until = self._until.get(connection)
        if until is not None and now < until:
            raise TryLaterError(f"connection {connection}: its API asks to wait until {until.isoformat()}")
        self._until.pop(connection, None)

    def close(self, connection: str, answer: HttpAnswer, now: datetime) -> str:
        """Says why. Retry-After is seconds, or a date (RFC 9110); without it, or where it is anything else, it is the
        loop that waits, longer each time."""
        told, wait = answer.headers.get("retry-after", ""), NO_WAIT
        if told.isascii() and told.isdecimal():
            wait = timedelta(seconds=int(told[:9]))
        else:
            with suppress(ValueError, TypeError):  # no date, or one without a zone
                wait = max(NO_WAIT, parsedate_to_datetime(told) - now)
        wait = min(wait, LONGEST_WAIT)
        self._until[connection] = now + wait
        return f"connection {connection}: the API answers {answer.status}, again in {wait.total_seconds():.0f} s"


OK, NOT_FOUND, GONE, UNAUTHORIZED, FORBIDDEN, BAD_REQUEST = 200, 404, 410, 401, 403, 400
# Beside 5xx: a timeout, too early, too many requests.
AGAIN = frozenset({408, 425, 429})
# Google says so with 403, and means 429.
TOO_FAST = ("ratelimitexceeded", "quotaexceeded")
# Graph's words for a sync token that it does not know any more, where it does not say 410.
STALE = ("syncstatenotfound", "syncstateinvalid", "resyncrequired", "fullsyncrequired")
# Its reason stands in the first lines of an error.
MOST_READ = 2_000
# For one answer, however slowly it comes, and for all of a reading: every page of a calendar.
ANSWER_SECONDS, MOST_SECONDS = 30.0, 300.0
# Of all answers of a reading: ten thousand entries of a calendar with all who take part.
MOST_OCTETS = 32 * 2**20


@dataclass(frozen=True)
class ApiQuestion:
    """`path` is below the API's address, or a whole address that the API itself gave. `resumes`: asked with a sync
    token, which the API may have forgotten."""

    path: str
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    resumes: bool = False


class Api:
    """For one reading, which has so much time and so many bytes in all. `closed` remembers for all connections when a
    tool wants to be asked again."""

    def __init__(
        self, http: BoundedHttp, connection: Connection, closed: RetryAfterGate, now: Callable[[], datetime]
    ) -> None:
        assert isinstance(connection.settings, ApiSettings)
        self._http, self._connection, self._gate, self._now = http, connection, closed, now
        self._until, self._left = time.monotonic() + MOST_SECONDS, MOST_OCTETS
        self._base = connection.settings.api_url
        self._log = log.get(__name__)

    @property
    def name(self) -> str:
        return self._connection.connection_scope.connection

    def get(self, question: ApiQuestion) -> Fetched:
        """Raises TryLaterError when the tool is away, or wants to be left alone for now."""
        self._gate.check(self.name, self._now())
        path = question.path
        url = path if path.startswith(("http://", "https://")) else f"{self._base}/{path}"
        if not url.startswith(f"{self._base}/"):
            return rejected("forbidden", "", f"connection {self.name}: the API leads elsewhere, its token does not")
        answer = self._answer(url, question)
        if answer.cut == "octets":
            return rejected(
                "too_large", "", f"connection {self.name}: the API's answers have more than {MOST_OCTETS} bytes"
            )
        self._left -= len(answer.body)
        return self._judged(answer, question)

    def _answer(self, url: str, question: ApiQuestion) -> HttpAnswer:
        seconds = min(ANSWER_SECONDS, self._until - time.monotonic())
        if seconds <= 0:
            raise TryLaterError(f"connection {self.name}: its API takes more than {MOST_SECONDS:g} s for all its pages")
        try:
            file = self._connection.api_token_file
            token = file.read_text("utf-8").strip() if file else self._connection.api_token
            ours = {"authorization": f"Bearer {token}", "accept": "application/json", "user-agent": "rapport"}
            headers = {**ours, **(question.headers or {})}
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

    def _judged(self, answer: HttpAnswer, question: ApiQuestion) -> Fetched:
        code, words = answer.status, answer.body[:MOST_READ].decode(errors="replace")
        if code == OK:
            parsed = read_json(answer.body)
            fault = parsed.errors[0].reason if isinstance(parsed, Rejected) else "is no object"
            if isinstance(parsed, Parsed) and isinstance(parsed.value, dict):
                return Round(parsed.value)
            return rejected("malformed", "", f"connection {self.name}: the API's answer {fault}")
        if code in AGAIN or code >= 500 or (code == FORBIDDEN and _says(TOO_FAST, words)):  # noqa: PLR2004 (HTTP)
            raise TryLaterError(self._gate.close(self.name, answer, self._now()))
        if question.resumes and (code in {GONE, BAD_REQUEST} or _says(STALE, words)):
            return Stale()
        if code in {NOT_FOUND, GONE}:
            return Gone()
        # Nothing of the answer's text is kept: tools quote addresses and tokens in it.
        self._log.error("tool_refuses_us", connection=self.name, tool=self._connection.tool.name, status=code)
        if code in {UNAUTHORIZED, FORBIDDEN}:
            words = "renew its api_token, or give it the scopes that the README names; then requeue"
            return rejected("forbidden", "", f"connection {self.name}: the API answers {code}: {words}")
        return rejected("invalid", "", f"connection {self.name}: the API answers {code}")


# More pages than any calendar has: an API that says `next` for ever is broken.
MOST_PAGES = 400
Body = Mapping[str, object]


def pages(
    api: Api,
    first: ApiQuestion,
    items: str,
    following: Callable[[Body], ApiQuestion | None],
    token: Callable[[Body], str | None],
) -> Fetched:
    """What stands under `items` of all pages, as one page. `following` is asked of each page for the question after
    it, `token` of the last one."""
    found: list[object] = []
    question = first
    for _ in range(MOST_PAGES):
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


def _says(codes: tuple[str, ...], words: str) -> bool:
    return any(code in words.lower() for code in codes)
