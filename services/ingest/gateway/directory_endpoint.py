"""`/v1/directory/participants`: people are written, many at once, or erased."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from schemas.directory import Participant
from schemas.tokens import Token
from services.ingest.domain.people.participants import is_participant_id, read_participant, replacing
from services.ingest.domain.strict_json import read_json
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.acknowledgements import all_of
from services.ingest.flow.intake import HandedIn, Writing
from services.ingest.flow.tokens import TokenTable
from services.ingest.flow.tools.statements import Directory
from services.ingest.gateway.body import JSON, media_type, read_body
from services.ingest.gateway.events_endpoint import Admission, not_too_many, proven
from services.ingest.gateway.request_errors import STATUS, CompactJson, Listing, ProblemError, rejection

ACCEPTED, MIXED = 202, 207
# Of an erasure, for the room that it takes while it waits for the broker.
ERASURE_BYTES = 1_000


class DirectoryEndpoint:
    def __init__(self, tokens: TokenTable, directory: Directory, writing: Writing, admission: Admission) -> None:
        self._tokens, self._directory, self._writing, self._admission = tokens, directory, writing, admission

    async def post(self, request: Request, now: Callable[[], datetime]) -> Response:
        notes: dict[str, object] = {}
        return await self._admission.request_errors.answer(request, self._written(request, now(), notes), notes)

    async def delete(self, request: Request, participant: str, now: Callable[[], datetime]) -> Response:
        notes: dict[str, object] = {}
        return await self._admission.request_errors.answer(
            request, self._erased(request, participant, now(), notes), notes
        )

    async def _written(self, request: Request, now: datetime, notes: dict[str, object]) -> Response:
        token = self._of_the_tenant(request, notes)
        feed = _feed_of(token)
        _check_media(request)
        with self._admission.senders.entered(token.token_id) as entered:
            body = await read_body(request, entered.held)
            entered.pay_bytes(len(body))
            people = await self._admission.aside(token.token_id, len(body), lambda: _listed(body))
            entered.pay_items(len(people))
            not_too_many(len(people))
            found, sending = list[Participant | Rejected](), list[Future[None]]()

            def judged(raw: object) -> Participant | Rejected:
                one = read_participant(raw, token.tenant, now)
                written = one if isinstance(one, Rejected) else self._directory.write(replacing(one, feed))
                if isinstance(written, Rejected):
                    return written
                sending.append(written)
                return one

            async def send(window: Sequence[object]) -> Future[None]:
                done = len(sending)
                await self._writing.turns.in_slices(token.token_id, window, judged, found.extend)
                return all_of(sending[done:])

            await self._writing.in_windows(people, HandedIn(token.token_id, len(body)), send)
            notes |= {"bytes": len(body), "participants": len(sending), "rejected": len(found) - len(sending)}
            return await self._admission.aside(token.token_id, len(body), lambda: _answer(found))

    async def _erased(self, request: Request, participant: str, now: datetime, notes: dict[str, object]) -> Response:
        token = self._of_the_tenant(request, notes)
        if not token.admin:
            raise rejection(rejected("forbidden", "", "to erase people needs a token with admin scope"))
        if not is_participant_id(participant):
            raise rejection(rejected("invalid", "id", "is no id of a participant"))

        async def send() -> Future[None]:
            async with self._writing.turns.turn(token.token_id):
                return self._directory.erase(token.tenant, participant, _feed_of(token), now)

        with self._admission.senders.entered(token.token_id):
            await self._writing.in_flight.written(ERASURE_BYTES, send)
        notes["outcome"] = "erased"
        return JSONResponse({"id": participant, "status": ACCEPTED, "reason": "erased"}, ACCEPTED)

    def _of_the_tenant(self, request: Request, notes: dict[str, object]) -> Token:
        """Raises ProblemError 401 or 403: people belong to no programme."""
        token = proven(self._tokens, request)
        notes |= {"token": token.token_id, "tenant": token.tenant}
        if token.programs:
            raise rejection(rejected("forbidden", "", "a token that is limited to programmes may not write people"))
        return token


def _feed_of(token: Token) -> str:
    return f"api:{token.token_id}"


def _check_media(request: Request) -> None:
    """Raises ProblemError 415."""
    if media_type(request.headers) != JSON:
        raise ProblemError(415, "unsupported_media_type", f"send {JSON}", headers={"Accept-Post": JSON})


def _listed(body: bytes) -> Sequence[object]:
    """Raises ProblemError 400."""
    parsed = read_json(body)
    if isinstance(parsed, Rejected):
        raise rejection(parsed)
    if not isinstance(parsed.value, list) or not parsed.value:
        raise rejection(rejected("malformed", "", "send a JSON array of at least one participant"))
    return parsed.value


def _answer(found: Sequence[Participant | Rejected]) -> Response:
    listing = Listing()
    entries = [{"index": index, **_entry(one, listing)} for index, one in enumerate(found)]
    refused = sum(isinstance(one, Rejected) for one in found)
    if refused == len(found):
        raise ProblemError(
            400, "nothing_taken", "see the participants for the reasons", extra={"participants": entries}
        )
    counts = {"recorded": len(found) - refused, "rejected": refused}
    return CompactJson({**counts, "participants": entries}, MIXED if refused else ACCEPTED)


def _entry(one: Participant | Rejected, listing: Listing) -> Mapping[str, object]:
    match one:
        case Rejected(reason, errors):
            return {"id": None, "status": STATUS[reason], "reason": reason, "errors": listing.listed(errors)}
        case Participant(id=participant):
            return {"id": participant, "status": ACCEPTED, "reason": "recorded"}
