"""`POST /v1/events`: each event is admitted, recorded and answered by itself."""

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
from services.ingest.domain.admission import EventAdmission
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
from services.ingest.flow.event_writer import EventWriter, PreparedEvent, Receipt, prepare
from services.ingest.flow.in_flight import UnavailableError
from services.ingest.flow.shared import IngestMetrics
from services.ingest.flow.tokens import TokenTable
from services.ingest.gateway.fair_scheduler import TimeSlices
from services.ingest.gateway.limits import BoundedWriter, OnStarted, RequestSize
from services.ingest.gateway.requests import (
    ANSWERED_BYTES,
    STATUS,
    AdmissionControl,
    ErrorListing,
    check_encoding,
    check_item_count,
    read_body,
    rejection,
)
from services.runtime.http.guarded_protocol import CONNECTION
from services.runtime.http.problems import ProblemError
from services.runtime.kafka import KafkaError

ACCEPTED, MIXED, UNAVAILABLE = 202, 207, 503
LONGEST_ID_SHOWN = 256


class Outcome(NamedTuple):
    """`id` as on the log if the event is there, else as the sender wrote it, if that can be read. `dropped`: unknown
    attributes, which are not on the log."""

    id: str | None
    result: Receipt | Rejected | UnavailableError
    dropped: int = 0

    def settle(self) -> "Outcome":
        return self._replace(result=self.result.outcome()) if isinstance(self.result, Receipt) else self


_AdmittedOrOutcome = Outcome | tuple[PreparedEvent, int]
"""The outcome of a rejected event, or the admitted event with the number of its dropped attributes."""


class EventIntake:
    """For one event loop."""

    def __init__(self, event_writer: EventWriter, writer: BoundedWriter, admission: EventAdmission) -> None:
        self._event_writer, self._writer, self._admission = event_writer, writer, admission

    async def record(self, raw_events: Sequence[object], scope: Scope, request: RequestSize) -> list[Outcome]:
        """Returns when it is known of every admitted event whether it is on the log. Raises UnavailableError when the
        broker is away, too much waits for it already, or the projection of relationships is behind the log; some
        events may have been sent then."""
        admit, outcomes = self._admission.for_scope(scope), list[Outcome]()

        def admit_one(raw: object) -> _AdmittedOrOutcome:
            verdict = admit(raw)
            if isinstance(verdict, Rejected):
                return Outcome(_id_of(raw), verdict)
            return prepare(verdict.event), verdict.dropped

        async def send(raw_batch: Sequence[object], on_started: OnStarted) -> Future[None]:
            found, before = list[_AdmittedOrOutcome](), len(outcomes)
            with TimeSlices(self._writer.scheduler, request.sender) as slices:
                # 1. Admit all events of the batch before any is sent.
                await slices.run(raw_batch, admit_one, found.extend)
                # 2. Send them in order, before the sender's other requests go on: records sent together share a batch
                # of the producer, and a batch costs as much as sending twenty records.
                with self._event_writer.batch() as batch:
                    on_started(batch.sending.written)

                    def record_one(one: _AdmittedOrOutcome) -> None:
                        if not isinstance(one, Outcome):
                            prepared, dropped = one
                            receipt = self._event_writer.record_in(batch, prepared)
                            one = Outcome(prepared.event.id, receipt, dropped)
                        outcomes.append(one)

                    try:
                        await slices.run(found, record_one, lambda _: batch.sending.submit_pending(), "front")
                    except KafkaError as failure:
                        batch.abort(failure)
                        outcomes.extend(map(_not_sent, raw_batch[len(outcomes) - before :]))
            return batch.written

        if await self._writer.write_in_batches(raw_events, request, send):
            return [*(one.settle() for one in outcomes), *map(_not_sent, raw_events[len(outcomes) :])]
        return outcomes


def _not_sent(raw: object) -> Outcome:
    return Outcome(_id_of(raw), UnavailableError("it was not sent any more"))


def _id_of(raw: object) -> str | None:
    found = raw.get("id") if isinstance(raw, dict) else None
    return found[:LONGEST_ID_SHOWN] if isinstance(found, str) else None


def answer_single(outcome: Outcome) -> Response:
    """Raises ProblemError when the event was rejected, and UnavailableError."""
    if isinstance(outcome.result, UnavailableError):
        raise outcome.result
    if isinstance(outcome.result, Rejected):
        raise rejection(outcome.result)
    return Response(to_json(_entry(outcome, ErrorListing())), ACCEPTED, media_type=JSON)


def answer_batch(outcomes: Sequence[Outcome]) -> Response:
    """202 if all events are on the log, 207 if some are, or may be later. Raises ProblemError if none is."""
    listing = ErrorListing()
    entries = [{"index": index, **_entry(outcome, listing)} for index, outcome in enumerate(outcomes)]
    reasons = Counter([entry["reason"] for entry in entries])
    accepted = reasons["recorded"] + reasons["duplicate"]
    rejected = len(outcomes) - accepted - reasons["unavailable"]
    if rejected == len(outcomes):
        statuses = {STATUS[one.result.reason] for one in outcomes if isinstance(one.result, Rejected)}
        status = statuses.pop() if len(statuses) == 1 else 400
        raise ProblemError(status, "no_event_taken", "see the events for the reasons", extra={"events": entries})
    counts = {"recorded": reasons["recorded"], "duplicates": reasons["duplicate"], "rejected": rejected}
    if reasons["unavailable"]:
        counts["unavailable"] = reasons["unavailable"]
    # pydantic writes ten thousand results in a millisecond.
    body = to_json({**counts, "events": entries})
    return Response(body, ACCEPTED if accepted == len(outcomes) else MIXED, media_type=JSON)


def _entry(outcome: Outcome, listing: ErrorListing) -> dict[str, object]:
    found: dict[str, object] = {"id": outcome.id, "status": ACCEPTED, "reason": _reason(outcome)}
    match outcome.result:
        case UnavailableError() as away:
            return {**found, "status": UNAVAILABLE, "errors": listing.entries((away.problem,))}
        case Rejected(reason, errors):
            return {**found, "status": STATUS[reason], "errors": listing.entries(errors)}
        case _:
            return found


def _reason(outcome: Outcome) -> str:
    match outcome.result:
        case Receipt() as receipt:
            return "duplicate" if receipt.duplicate else "recorded"
        case Rejected(reason):
            return reason
        case _:
            return "unavailable"


class EventsEndpoint:
    def __init__(
        self, tokens: TokenTable, intake: EventIntake, control: AdmissionControl, metrics: IngestMetrics
    ) -> None:
        self._tokens, self._intake, self._control = tokens, intake, control
        self._events, self._dropped = cache(partial(metrics.events.labels, "http")), metrics.dropped.labels("http")

    async def post(self, request: Request) -> Response:
        notes: dict[str, object] = {}
        return await self._control.request_errors.answer(request, self._answer(request, notes), notes)

    async def _answer(self, request: Request, notes: dict[str, object]) -> Response:
        token = authenticate_request(self._tokens, request)
        sender = token.token_id
        notes |= {"token": sender, "tenant": token.tenant}
        media = media_type(request.headers)
        with self._control.senders.request(sender) as entered:
            body = await read_body(request, entered.body_bytes)
            entered.charge_bytes(len(body))
            async with self._control.body_in_work(sender, len(body)) as work:
                content = await self._control.run(sender, len(body), lambda: read_content(media, request.headers, body))
                work.items = max(1, len(content.events))
                entered.charge_items(len(content.events))
                check_item_count(len(content.events))
                request_size = RequestSize(sender, len(body))
                outcomes = await self._intake.record(content.events, scope_of(token), request_size)
                notes |= {"bytes": len(body), **self._count(outcomes)}
                if not content.is_batch:
                    return answer_single(outcomes[0])
                # Encoding ten thousand entries takes as long as parsing them.
                size = len(outcomes) * ANSWERED_BYTES
                return await self._control.run(sender, size, lambda: answer_batch(outcomes))

    def _count(self, outcomes: Sequence[Outcome]) -> dict[str, int]:
        counts = Counter(map(_reason, outcomes))
        for name, count in counts.items():
            self._events(name).inc(count)
        self._dropped.inc(sum(outcome.dropped for outcome in outcomes))
        return dict(counts)


def authenticate_request(tokens: TokenTable, request: Request) -> Token:
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
    """The events of one request, parsed and not yet admitted."""

    events: list[object]
    is_batch: bool


def media_type(headers: Headers) -> str:
    """Raises ProblemError 415. In binary mode the type may be missing, or any kind of JSON."""
    check_encoding(headers)
    stated = headers.get("content-type")
    found = read_media_type(stated or (JSON if stated is None and _is_binary(headers) else ""))
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
        attributes = read_attributes(_decode_headers(headers), PREFIX)
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


def _decode_headers(headers: Headers) -> Iterator[tuple[str, bytes]]:
    """A value may be quoted, and is then percent-encoded UTF-8 (CloudEvents' HTTP binding, 3.1.3.2)."""
    for name, value in headers.items():
        quoted = QUOTED.fullmatch(value)
        text = ESCAPED.sub(r"\1", quoted[1]) if quoted else value
        yield name, unquote_to_bytes(text.encode("latin-1"))


def _unsupported(detail: str) -> ProblemError:
    return ProblemError(
        415, "unsupported_media_type", detail, headers={"Accept-Post": f"{STRUCTURED}, {BATCH}, {JSON}"}
    )
