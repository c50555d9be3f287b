"""`POST /v1/events`: who sends, how it is carried, and what becomes of it."""

import time
from collections import Counter
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from schemas.tokens import Token
from services.ingest.domain.pace import Pace
from services.ingest.domain.scope import scope_of
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.intake import Intake, Outcome
from services.ingest.flow.metrics import Metrics
from services.ingest.flow.tokens import TokenTable
from services.ingest.gateway.answers import answer_batch, answer_single
from services.ingest.gateway.body import read_body
from services.ingest.gateway.content import media_type, read_content
from services.ingest.gateway.handled import Handled, not_too_fast
from services.ingest.gateway.problem import ProblemError


class EventsEndpoint:
    def __init__(self, tokens: TokenTable, intake: Intake, pace: Pace, metrics: Metrics) -> None:
        self._tokens, self._intake, self._pace, self._metrics = tokens, intake, pace, metrics
        self._handled = Handled(metrics)

    async def post(self, request: Request) -> Response:
        notes: dict[str, object] = {}
        return await self._handled.answer(request, self._answered(request, notes), notes)

    async def _answered(self, request: Request, notes: dict[str, object]) -> Response:
        token = proven(self._tokens, request)
        notes |= {"token": token.token_id, "tenant": token.tenant}
        media = media_type(request.headers)
        body = await read_body(request)
        content = read_content(media, request.headers, body)
        not_too_fast(self._pace.take(token.token_id, len(content.events), time.monotonic()))
        outcomes = await self._intake.take(content.events, len(body), scope_of(token))
        notes |= {"bytes": len(body), **self._counted(outcomes)}
        return answer_batch(outcomes) if content.is_batch else answer_single(outcomes[0])

    def _counted(self, outcomes: Sequence[Outcome]) -> dict[str, int]:
        counts = Counter(_outcome(outcome) for outcome in outcomes)
        for name, count in counts.items():
            self._metrics.events.labels("http", name).inc(count)
        self._metrics.dropped.labels("http").inc(sum(outcome.dropped for outcome in outcomes))
        return dict(counts)


def proven(tokens: TokenTable, request: Request) -> Token:
    """Raises ProblemError 401."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    token = tokens.prove(secret.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        detail = "send the header Authorization: Bearer with a token from `rapport ingest token create`"
        raise ProblemError(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})
    return token


def _outcome(outcome: Outcome) -> str:
    match outcome.result:
        case Rejected(reason):
            return reason
        case receipt:
            return "duplicate" if receipt.repeat else "recorded"
