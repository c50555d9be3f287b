"""`/v1/directory/participants`: writes participants, many at once, or erases one."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from schemas.tokens import Token
from services.ingest.domain.cloudevents import JSON, read_json
from services.ingest.domain.people.participants import is_participant_id, read_participant, replace_statement
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.event_writer import Receipt
from services.ingest.flow.in_flight import UnavailableError
from services.ingest.flow.tokens import TokenTable
from services.ingest.flow.tools.statements import DirectoryStatementWriter
from services.ingest.gateway.events_endpoint import authenticate_request, media_type
from services.ingest.gateway.limits import BoundedWriter, OnStarted, RequestSize
from services.ingest.gateway.requests import (
    ANSWERED_BYTES,
    STATUS,
    AdmissionControl,
    ErrorListing,
    check_item_count,
    read_body,
    rejection,
)
from services.runtime.http.problems import ProblemError

ACCEPTED, MIXED = 202, 207
# What an erasure counts as while it is in flight to the broker.
ERASURE_BYTES = 1_000


Outcome = str | Rejected | UnavailableError
"""Of one participant: the id, or why it is not on the topic."""


@dataclass(frozen=True)
class DirectorySource:
    """The feed that describes participants of a tenant, and when."""

    tenant: str
    feed: str
    now: datetime


class DirectoryEndpoint:
    def __init__(
        self, tokens: TokenTable, directory: DirectoryStatementWriter, writer: BoundedWriter, control: AdmissionControl
    ) -> None:
        self._tokens, self._directory, self._writer, self._control = tokens, directory, writer, control

    async def post(self, request: Request) -> Response:
        notes: dict[str, object] = {}
        return await self._control.request_errors.answer(request, self._answer_post(request, notes), notes)

    async def delete(self, request: Request) -> Response:
        notes: dict[str, object] = {}
        return await self._control.request_errors.answer(request, self._answer_delete(request, notes), notes)

    async def _answer_post(self, request: Request, notes: dict[str, object]) -> Response:
        now = datetime.now(UTC)
        token = self._tenant_token(request, notes)
        sender, source = token.token_id, DirectorySource(token.tenant, _feed_of(token), now)
        if media_type(request.headers) != JSON:
            raise ProblemError(415, "unsupported_media_type", f"send {JSON}", headers={"Accept-Post": JSON})
        with self._control.senders.request(sender) as entered:
            body = await read_body(request, entered.body_bytes)
            entered.charge_bytes(len(body))
            async with self._control.body_in_work(sender, len(body)) as work:
                people = await self._control.run(sender, len(body), lambda: _read_array(body))
                work.items = len(people)
                entered.charge_items(len(people))
                check_item_count(len(people))
                outcomes = await self._record(people, RequestSize(sender, len(body)), source)
                recorded = sum(isinstance(one, str) for one in outcomes)
                notes |= {"bytes": len(body), "participants": recorded, "rejected": len(outcomes) - recorded}
                size = len(outcomes) * ANSWERED_BYTES
                return await self._control.run(sender, size, lambda: answer_people(outcomes))

    async def _record(self, people: Sequence[object], request: RequestSize, source: DirectorySource) -> list[Outcome]:
        found = list[tuple[str, Receipt] | Rejected]()

        async def send(batch: Sequence[object], on_started: OnStarted) -> Future[None]:
            sending = self._directory.batch()
            on_started(sending.written)

            def write_one(raw: object) -> None:
                one = read_participant(raw, source.tenant, source.now)
                if isinstance(one, Rejected):
                    found.append(one)
                    return
                receipt = self._directory.write_in(sending, replace_statement(one, source.feed))
                found.append(receipt if isinstance(receipt, Rejected) else (one.id, receipt))

            try:
                await self._writer.scheduler.run_in_slices(
                    request.sender, batch, write_one, lambda _: sending.submit_pending()
                )
            finally:
                sending.close()
            return sending.written

        await self._writer.write_in_batches(people, request, send)
        not_sent = UnavailableError("it was not sent any more")
        return [*map(settle, found), *[not_sent] * (len(people) - len(found))]

    async def _answer_delete(self, request: Request, notes: dict[str, object]) -> Response:
        participant, now = request.path_params["participant"], datetime.now(UTC)
        token = self._tenant_token(request, notes)
        if not token.admin:
            raise rejection(rejected("forbidden", "", "to erase people needs a token with admin scope"))
        if not is_participant_id(participant):
            raise rejection(rejected("invalid", "id", "is no id of a participant"))

        async def send(_: OnStarted) -> Future[None]:
            async with self._writer.scheduler.turn(token.token_id):
                return self._directory.erase(token.tenant, participant, _feed_of(token), now)

        with self._control.senders.request(token.token_id):
            await self._writer.in_flight.write(ERASURE_BYTES, send)
        notes["outcome"] = "erased"
        return JSONResponse({"id": participant, "status": ACCEPTED, "reason": "erased"}, ACCEPTED)

    def _tenant_token(self, request: Request, notes: dict[str, object]) -> Token:
        """A token of a whole tenant, because participants belong to no programme. Raises ProblemError 401 or 403."""
        token = authenticate_request(self._tokens, request)
        notes |= {"token": token.token_id, "tenant": token.tenant}
        if token.programs:
            raise rejection(rejected("forbidden", "", "a token that is limited to programmes may not write people"))
        return token


def _feed_of(token: Token) -> str:
    return f"api:{token.token_id}"


def _read_array(body: bytes) -> Sequence[object]:
    """Raises ProblemError 400."""
    parsed = read_json(body)
    if isinstance(parsed, Rejected):
        raise rejection(parsed)
    if not isinstance(parsed.value, list) or not parsed.value:
        raise rejection(rejected("malformed", "", "send a JSON array of at least one participant"))
    return parsed.value


def settle(one: tuple[str, Receipt] | Rejected) -> Outcome:
    if isinstance(one, Rejected):
        return one
    participant, receipt = one
    outcome = receipt.outcome()
    return participant if isinstance(outcome, Receipt) else outcome


def answer_people(outcomes: Sequence[Outcome]) -> Response:
    listing = ErrorListing()
    entries = [{"index": index, **_entry(one, listing)} for index, one in enumerate(outcomes)]
    recorded = sum(isinstance(one, str) for one in outcomes)
    if not any(isinstance(one, str | UnavailableError) for one in outcomes):
        raise ProblemError(
            400, "nothing_taken", "see the participants for the reasons", extra={"participants": entries}
        )
    counts = {"recorded": recorded, "rejected": len(outcomes) - recorded}
    body = to_json({**counts, "participants": entries})
    return Response(body, ACCEPTED if recorded == len(outcomes) else MIXED, media_type=JSON)


def _entry(one: Outcome, listing: ErrorListing) -> Mapping[str, object]:
    match one:
        case Rejected(reason, errors):
            return {"id": None, "status": STATUS[reason], "reason": reason, "errors": listing.entries(errors)}
        case UnavailableError():
            return {"id": None, "status": 503, "reason": "unavailable", "errors": listing.entries((one.problem,))}
        case participant:
            return {"id": participant, "status": ACCEPTED, "reason": "recorded"}
