"""`POST /v1/events`: who sends, how it is carried, what becomes of it, and one log line about it."""

import time
from collections import Counter
from collections.abc import Sequence

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from schemas.tokens import Token
from services.ingest.domain.scope import scope_of
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.intake import Intake, Outcome, UnavailableError
from services.ingest.flow.metrics import Metrics
from services.ingest.flow.tokens import TokenTable
from services.ingest.gateway import problem
from services.ingest.gateway.answers import answer_batch, answer_single
from services.ingest.gateway.body import may_go_on, read_body
from services.ingest.gateway.content import media_type, read_content
from services.ingest.gateway.problem import ProblemError
from services.runtime import log

RETRY_AFTER_SECONDS = 5
# nginx's number for a client that went away; nobody receives it, the log shows it.
CLIENT_GONE = 499


class EventsEndpoint:
    def __init__(self, tokens: TokenTable, intake: Intake, metrics: Metrics) -> None:
        self._tokens, self._intake, self._metrics = tokens, intake, metrics
        self._log = log.get(__name__)

    async def post(self, request: Request) -> Response:
        began = time.monotonic()
        notes: dict[str, object] = {}
        try:
            response = await self._answered(request, notes)
        except ProblemError as error:
            notes["problem"] = error.code
            response = problem.answer(error)
            if may_go_on(request):
                response.headers["connection"] = "close"
        except ClientDisconnect:
            response = Response(status_code=CLIENT_GONE)
        seconds = time.monotonic() - began
        self._metrics.requests.labels(response.status_code).observe(seconds)
        self._log.info("request_done", status=response.status_code, **notes, seconds=round(seconds, 4))
        return response

    async def _answered(self, request: Request, notes: dict[str, object]) -> Response:
        token = self._proven(request.headers.get("authorization", ""))
        notes |= {"token": token.token_id, "tenant": token.tenant}
        media = media_type(request.headers)
        body = await read_body(request)
        content = read_content(media, request.headers, body)
        outcomes = await self._taken(content.events, len(body), token)
        notes |= {"bytes": len(body), **self._counted(outcomes)}
        return answer_batch(outcomes) if content.is_batch else answer_single(outcomes[0])

    def _proven(self, authorization: str) -> Token:
        scheme, _, secret = authorization.partition(" ")
        token = self._tokens.prove(secret.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            detail = "send the header Authorization: Bearer with a token from `rapport ingest token create`"
            raise ProblemError(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})
        return token

    async def _taken(self, events: Sequence[object], size: int, token: Token) -> list[Outcome]:
        try:
            return await self._intake.take(events, size, scope_of(token))
        except UnavailableError as away:
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            raise ProblemError(503, "unavailable", f"{away}; send the same again later", headers=headers) from away

    def _counted(self, outcomes: Sequence[Outcome]) -> dict[str, int]:
        counts = Counter(_outcome(outcome) for outcome in outcomes)
        for name, count in counts.items():
            self._metrics.events.labels("http", name).inc(count)
        return dict(counts)


def _outcome(outcome: Outcome) -> str:
    match outcome.result:
        case Rejected(reason):
            return reason
        case receipt:
            return "duplicate" if receipt.repeat else "recorded"
