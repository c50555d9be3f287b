"""`POST /v1/events`: events are judged, recorded and answered one by one."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from pydantic_core import to_json
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from schemas.tokens import Token, authenticate
from services.ingest.domain.admission import PreparedEvent, prepared
from services.ingest.domain.cloudevents import (
    BATCH,
    JSON,
    STRUCTURED,
    Parsed,
    read_attributes,
    read_binary,
    read_json,
    read_media_type,
)
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.event_writer import EventWriter, Receipt
from services.ingest.flow.in_flight import UnavailableError
from services.ingest.flow.intake import Begun, Gate, HandedIn, Writing
from services.ingest.flow.shared import IngestMetrics
from services.ingest.flow.tokens import TokenTable
from services.ingest.gateway.requests import (
    ANSWERED_BYTES,
    STATUS,
    Admission,
    Listing,
    check_encoding,
    not_too_many,
    read_body,
    rejection,
)
from services.runtime.http.guarded_protocol import CONNECTION
from services.runtime.http.problems import ProblemError
from services.runtime.kafka import KafkaError

ACCEPTED, MIXED, UNAVAILABLE = 202, 207, 503
LONGEST_ID_SHOWN = 256


class Outcome(NamedTuple):
    """`id` as on the log if it got there, else as the sender wrote it, if that can be read. `dropped`: attributes that
    are not on the log because we do not know them."""

    id: str | None
    result: Receipt | Rejected | UnavailableError
    dropped: int = 0

    def settled(self) -> "Outcome":
        return self._replace(result=self.result.became()) if isinstance(self.result, Receipt) else self


_Judged = Outcome | tuple[PreparedEvent, int]
"""Refused already, or with the number of dropped attributes."""


class Intake:
    """For one event loop."""

    def __init__(self, event_writer: EventWriter, writing: Writing, gate: Gate) -> None:
        self._event_writer, self._writing, self._gate = event_writer, writing, gate

    async def take(self, raw_events: Sequence[object], scope: Scope, handed_in: HandedIn) -> list[Outcome]:
        """Returns when it is known of every admitted event whether it is on the log. Raises UnavailableError when the
        broker is away, too much waits for it already, or relationships are not known up to now; some events may have
        been sent then."""
        judge, outcomes = self._gate.judge_of(scope), list[Outcome]()

        def judged(raw: object) -> _Judged:
            verdict = judge(raw)
            if isinstance(verdict, Rejected):
                return Outcome(_id_of(raw), verdict)
            return prepared(verdict.event), verdict.dropped

        async def send(window: Sequence[object], begun: Begun) -> Future[None]:
            found, before = list[_Judged](), len(outcomes)
            with self._writing.turns.slices(handed_in.sender) as slices:
                # 1. All of it is judged before any of it is sent.
                await slices.each(window, judged, found.extend)
                # 2. Sent in its order, before the sender's other requests go on: what goes to the broker in one go
                # shares a batch there, and a batch costs as much as sending twenty records.
                with self._event_writer.recording() as recording:
                    begun(recording.sending.written)

                    def record(judged: _Judged) -> None:
                        if not isinstance(judged, Outcome):
                            one, dropped = judged
                            judged = Outcome(one.event.id, self._event_writer.record_in(recording, one), dropped)
                        outcomes.append(judged)

                    try:
                        await slices.each(found, record, lambda _: recording.sending.hand_over(), "first")
                    except KafkaError as failure:
                        recording.cut_off(failure)
                        outcomes.extend(map(_not_sent, window[len(outcomes) - before :]))
            return recording.written

        if await self._writing.in_windows(raw_events, handed_in, send):
            return [*(one.settled() for one in outcomes), *map(_not_sent, raw_events[len(outcomes) :])]
        return outcomes


def _not_sent(raw: object) -> Outcome:
    return Outcome(_id_of(raw), UnavailableError("it was not sent any more"))


def _id_of(raw: object) -> str | None:
    given = raw.get("id") if isinstance(raw, dict) else None
    return given[:LONGEST_ID_SHOWN] if isinstance(given, str) else None


def answer_single(outcome: Outcome) -> Response:
    """Raises ProblemError when the event was rejected, and UnavailableError."""
    if isinstance(outcome.result, UnavailableError):
        raise outcome.result
    if isinstance(outcome.result, Rejected):
        raise rejection(outcome.result)
    return Response(to_json(_entry(outcome, Listing())), ACCEPTED, media_type=JSON)


def answer_batch(outcomes: Sequence[Outcome]) -> Response:
    """202 if all events are in, 207 if some are, or may be later. Raises ProblemError if none is."""
    listing = Listing()
    entries = [{"index": index, **_entry(outcome, listing)} for index, outcome in enumerate(outcomes)]
    reasons = Counter([entry["reason"] for entry in entries])
    taken = reasons["recorded"] + reasons["duplicate"]
    rejected = len(outcomes) - taken - reasons["unavailable"]
    if rejected == len(outcomes):
        statuses = {STATUS[one.result.reason] for one in outcomes if isinstance(one.result, Rejected)}
        status = statuses.pop() if len(statuses) == 1 else 400
        raise ProblemError(status, "no_event_taken", "see the events for the reasons", extra={"events": entries})
    counts = {"recorded": reasons["recorded"], "duplicates": reasons["duplicate"], "rejected": rejected}
    if reasons["unavailable"]:
        counts["unavailable"] = reasons["unavailable"]
    # pydantic writes ten thousand results in a millisecond.
    body = to_json({**counts, "events": entries})
    return Response(body, ACCEPTED if taken == len(outcomes) else MIXED, media_type=JSON)


def _entry(outcome: Outcome, listing: Listing) -> dict[str, object]:
    found: dict[str, object] = {"id": outcome.id, "status": ACCEPTED, "reason": _reason(outcome)}
    match outcome.result:
        case UnavailableError() as away:
            return {**found, "status": UNAVAILABLE, "errors": listing.listed((away.problem,))}
        case Rejected(reason, errors):
            return {**found, "status": STATUS[reason], "errors": listing.listed(errors)}
        case _:
            return found


def _reason(outcome: Outcome) -> str:
    match outcome.result:
        case Receipt() as receipt:
            return "duplicate" if receipt.repeat else "recorded"
        case Rejected(reason):
            return reason
        case _:
            return "unavailable"


class EventsEndpoint:
    def __init__(self, tokens: TokenTable, intake: Intake, admission: Admission, metrics: IngestMetrics) -> None:
        self._tokens, self._intake, self._admission = tokens, intake, admission
        self._events, self._dropped = cache(partial(metrics.events.labels, "http")), metrics.dropped.labels("http")

    async def post(self, request: Request) -> Response:
        notes: dict[str, object] = {}
        return await self._admission.request_errors.answer(request, self._answered(request, notes), notes)

    async def _answered(self, request: Request, notes: dict[str, object]) -> Response:
        token = proven(self._tokens, request)
        notes |= {"token": token.token_id, "tenant": token.tenant}
        media = media_type(request.headers)
        with self._admission.senders.entered(token.token_id) as entered:
            body = await read_body(request, entered.held)
            entered.pay_bytes(len(body))
            async with self._admission.in_work(token.token_id, len(body)) as work:
                content = await self._admission.aside(
                    token.token_id, len(body), lambda: read_content(media, request.headers, body)
                )
                work.items = max(1, len(content.events))
                entered.pay_items(len(content.events))
                not_too_many(len(content.events))
                handed_in = HandedIn(token.token_id, len(body))
                outcomes = await self._intake.take(content.events, scope_of(token), handed_in)
                notes |= {"bytes": len(body), **self._counted(outcomes)}
                if not content.is_batch:
                    return answer_single(outcomes[0])
                # To answer for ten thousand takes as long as to read them.
                size = len(outcomes) * ANSWERED_BYTES
                return await self._admission.aside(token.token_id, size, lambda: answer_batch(outcomes))

    def _counted(self, outcomes: Sequence[Outcome]) -> dict[str, int]:
        counts = Counter(map(_reason, outcomes))
        for name, count in counts.items():
            self._events(name).inc(count)
        self._dropped.inc(sum(outcome.dropped for outcome in outcomes))
        return dict(counts)


def proven(tokens: TokenTable, request: Request) -> Token:
    """Raises ProblemError 401."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    token = authenticate(secret.strip(), tokens.tokens) if scheme.lower() == "bearer" else None
    if token is None:
        detail = "send the header Authorization: Bearer with a token from `rapport ingest token create`"
        raise ProblemError(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})
    request.scope["state"][CONNECTION].authenticated()
    return token


def scope_of(token: Token) -> Scope:
    return Scope(token.tenant, frozenset(token.sources), frozenset(token.programs), token.admin)


PREFIX = "ce-"
QUOTED = re.compile(r'"(.*)"', re.DOTALL)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class RequestContent:
    """The events of one request, parsed and not yet judged."""

    events: list[object]
    is_batch: bool


def media_type(headers: Headers) -> str:
    """Raises ProblemError 415. In binary mode the type may be missing, or any kind of JSON."""
    check_encoding(headers)
    given = headers.get("content-type")
    found = read_media_type(given or (JSON if given is None and _is_binary(headers) else ""))
    may_be_data = found.is_json and not found.name.startswith("application/cloudevents")
    if found.name not in {STRUCTURED, BATCH, JSON} and not (_is_binary(headers) and may_be_data):
        raise _unsupported(f"the content type is {found.name or 'none'}; send {STRUCTURED}, {BATCH} or {JSON}")
    if not found.is_json:
        raise _unsupported("JSON is sent in UTF-8")
    return found.name


def read_content(media: str, headers: Headers, body: bytes) -> RequestContent:
    """Raises ProblemError 400."""
    if media == BATCH:
        events = _value(read_json(body))
        if not isinstance(events, list):
            raise rejection(rejected("malformed", "", "a batch is a JSON array of events"))
        if not events:
            raise ProblemError(400, "empty_batch", "a batch holds at least one event")
        return RequestContent(events, is_batch=True)
    if media != STRUCTURED and _is_binary(headers):
        attributes = read_attributes(_decoded(headers), PREFIX)
        if isinstance(attributes, Rejected):
            raise rejection(attributes)
        return RequestContent([_value(read_binary(attributes, headers.get("content-type"), body))], is_batch=False)
    event = _value(read_json(body))
    if isinstance(event, list):
        raise rejection(rejected("malformed", "", f"is an array: send a batch as {BATCH}"))
    return RequestContent([event], is_batch=False)


def _is_binary(headers: Headers) -> bool:
    return any(name.startswith(PREFIX) for name in headers)


def _value(parsed: Parsed | Rejected) -> object:
    if isinstance(parsed, Rejected):
        raise rejection(parsed)
    return parsed.value


def _decoded(headers: Headers) -> Iterator[tuple[str, bytes]]:
    """A value may be quoted, and is then percent-encoded UTF-8 (CloudEvents' HTTP binding, 3.1.3.2)."""
    for name, value in headers.items():
        quoted = QUOTED.fullmatch(value)
        text = ESCAPED.sub(r"\1", quoted[1]) if quoted else value
        yield name, unquote_to_bytes(text.encode("latin-1"))


def _unsupported(detail: str) -> ProblemError:
    return ProblemError(
        415, "unsupported_media_type", detail, headers={"Accept-Post": f"{STRUCTURED}, {BATCH}, {JSON}"}
    )
