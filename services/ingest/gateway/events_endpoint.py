"""`POST /v1/events`: events are judged, recorded and answered one by one."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from schemas.tokens import Token
from services.ingest.domain.scope import scope_of
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.intake import BodyReading, HandedIn, Intake, Outcome
from services.ingest.flow.metrics import Metrics
from services.ingest.flow.tokens import TokenTable
from services.ingest.gateway.body import QUICKLY_READ_BYTES, media_type, read_body, read_content
from services.ingest.gateway.guarded_protocol import CONNECTION
from services.ingest.gateway.request_answers import RequestErrors
from services.ingest.gateway.request_errors import STATUS, CompactJson, Listing, ProblemError, rejection
from services.ingest.gateway.senders import Senders

ACCEPTED = 202
MIXED = 207


def answer_single(outcome: Outcome) -> JSONResponse:
    """Raises ProblemError when the event was rejected."""
    if isinstance(outcome.result, Rejected):
        raise rejection(outcome.result)
    return CompactJson(_entry(outcome, Listing()), ACCEPTED)


def answer_batch(outcomes: Sequence[Outcome]) -> JSONResponse:
    """202 if all events are in, 207 if some are. Raises ProblemError if none is."""
    listing = Listing()
    entries = [{"index": index, **_entry(outcome, listing)} for index, outcome in enumerate(outcomes)]
    reasons = [entry["reason"] for entry in entries]
    counts = {
        "recorded": reasons.count("recorded"),
        "duplicates": reasons.count("duplicate"),
        "rejected": sum(isinstance(outcome.result, Rejected) for outcome in outcomes),
    }
    if counts["rejected"] == len(outcomes):
        raise _nothing_taken(entries)
    return CompactJson({**counts, "events": entries}, MIXED if counts["rejected"] else ACCEPTED)


def _entry(outcome: Outcome, listing: Listing) -> dict[str, object]:
    match outcome.result:
        case Rejected(reason, errors):
            return {"id": outcome.id, "status": STATUS[reason], "reason": reason, "errors": listing.listed(errors)}
        case receipt:
            return {"id": outcome.id, "status": ACCEPTED, "reason": "duplicate" if receipt.repeat else "recorded"}


def _nothing_taken(entries: list[dict[str, object]]) -> ProblemError:
    statuses = {entry["status"] for entry in entries}
    status = statuses.pop() if len(statuses) == 1 else 400
    assert isinstance(status, int)
    return ProblemError(status, "no_event_taken", "see the events for the reasons", extra={"events": entries})


# As many as a mebibyte holds of the smallest that mean something.
MOST_ITEMS = 10_000

Result = TypeVar("Result")


@dataclass(frozen=True)
class Admission:
    """What all routes share: who may have how much in work, where long work is done that is not in slices, and who
    waits for a refusal."""

    senders: Senders
    reading: BodyReading
    request_errors: RequestErrors

    async def aside(self, sender: str, size: int, work: Callable[[], Result]) -> Result:
        """What `work` makes of a body of so many bytes, beside the event loop if that takes long. Raises what it
        does."""
        return work() if size <= QUICKLY_READ_BYTES else await self.reading.read(sender, work)


class EventsEndpoint:
    def __init__(self, tokens: TokenTable, intake: Intake, admission: Admission, metrics: Metrics) -> None:
        self._tokens, self._intake, self._admission, self._metrics = tokens, intake, admission, metrics

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
            content = await self._admission.aside(
                token.token_id, len(body), lambda: read_content(media, request.headers, body)
            )
            entered.pay_items(len(content.events))
            not_too_many(len(content.events))
            handed_in = HandedIn(token.token_id, len(body))
            outcomes = await self._intake.take(content.events, scope_of(token), handed_in)
            notes |= {"bytes": len(body), **self._counted(outcomes)}
            if not content.is_batch:
                return answer_single(outcomes[0])
            # To answer for ten thousand takes as long as to read them.
            return await self._admission.aside(token.token_id, len(body), lambda: answer_batch(outcomes))

    def _counted(self, outcomes: Sequence[Outcome]) -> dict[str, int]:
        counts = Counter(_outcome(outcome) for outcome in outcomes)
        for name, count in counts.items():
            self._metrics.events.labels("http", name).inc(count)
        self._metrics.dropped.labels("http").inc(sum(outcome.dropped for outcome in outcomes))
        return dict(counts)


def proven(tokens: TokenTable, request: Request) -> Token:
    """Raises ProblemError 401."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    token = tokens.verify(secret.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        detail = "send the header Authorization: Bearer with a token from `rapport ingest token create`"
        raise ProblemError(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})
    request.scope["state"][CONNECTION].proven()
    return token


def not_too_many(count: int) -> None:
    """Raises ProblemError 413: each is answered for itself."""
    if count > MOST_ITEMS:
        words = f"a request holds at most {MOST_ITEMS:,} of them, not {count:,}: send fewer at once"
        raise ProblemError(413, "too_large", words)


def _outcome(outcome: Outcome) -> str:
    match outcome.result:
        case Rejected(reason):
            return reason
        case receipt:
            return "duplicate" if receipt.repeat else "recorded"
