"""`/v1/directory/participants`: people are written, many at once, or erased."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from schemas.tokens import Token
from services.ingest.domain.cloudevents import JSON, read_json
from services.ingest.domain.people.participants import is_participant_id, read_participant, replacing
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.event_writer import Receipt
from services.ingest.flow.in_flight import UnavailableError
from services.ingest.flow.intake import Begun, HandedIn, Writing
from services.ingest.flow.tokens import TokenTable
from services.ingest.flow.tools.statements import Directory
from services.ingest.gateway.events_endpoint import media_type, proven
from services.ingest.gateway.requests import (
    ANSWERED_BYTES,
    STATUS,
    Admission,
    Listing,
    not_too_many,
    read_body,
    rejection,
)
from services.runtime.http.problems import ProblemError

ACCEPTED, MIXED = 202, 207
# Of an erasure, for the room that it takes while it waits for the broker.
ERASURE_BYTES = 1_000


Outcome = str | Rejected | UnavailableError
"""Of one person: the id, or why it is not on the topic."""


@dataclass(frozen=True)
class Described:
    """Who describes people, of which tenant, and when."""

    tenant: str
    feed: str
    now: datetime


class DirectoryEndpoint:
    def __init__(self, tokens: TokenTable, directory: Directory, writing: Writing, admission: Admission) -> None:
        self._tokens, self._directory, self._writing, self._admission = tokens, directory, writing, admission

    async def post(self, request: Request) -> Response:
        notes: dict[str, object] = {}
        return await self._admission.request_errors.answer(request, self._written(request, notes), notes)

    async def delete(self, request: Request) -> Response:
        notes: dict[str, object] = {}
        return await self._admission.request_errors.answer(request, self._erased(request, notes), notes)

    async def _written(self, request: Request, notes: dict[str, object]) -> Response:
        now = datetime.now(UTC)
        token = self._of_the_tenant(request, notes)
        feed = _feed_of(token)
        if media_type(request.headers) != JSON:
            raise ProblemError(415, "unsupported_media_type", f"send {JSON}", headers={"Accept-Post": JSON})
        with self._admission.senders.entered(token.token_id) as entered:
            body = await read_body(request, entered.held)
            entered.pay_bytes(len(body))
            async with self._admission.in_work(token.token_id, len(body)) as work:
                people = await self._admission.aside(token.token_id, len(body), lambda: _listed(body))
                work.items = len(people)
                entered.pay_items(len(people))
                not_too_many(len(people))
                found = await self._taken(
                    people, HandedIn(token.token_id, len(body)), Described(token.tenant, feed, now)
                )
                recorded = sum(isinstance(one, str) for one in found)
                notes |= {"bytes": len(body), "participants": recorded, "rejected": len(found) - recorded}
                size = len(found) * ANSWERED_BYTES
                return await self._admission.aside(token.token_id, size, lambda: answer_people(found))

    async def _taken(self, people: Sequence[object], handed_in: HandedIn, described: Described) -> list[Outcome]:
        """The id of each, on the topic, or why it is not."""
        found = list[tuple[str, Receipt] | Rejected]()

        async def send(window: Sequence[object], begun: Begun) -> Future[None]:
            sending = self._directory.together()
            begun(sending.written)

            def written(raw: object) -> None:
                one = read_participant(raw, described.tenant, described.now)
                if isinstance(one, Rejected):
                    found.append(one)
                    return
                receipt = self._directory.write_for(sending, replacing(one, described.feed))
                found.append(receipt if isinstance(receipt, Rejected) else (one.id, receipt))

            try:
                await self._writing.turns.in_slices(handed_in.sender, window, written, lambda _: sending.hand_over())
            finally:
                sending.close()
            return sending.written

        await self._writing.in_windows(people, handed_in, send)
        not_sent = UnavailableError("it was not sent any more")
        return [*map(became, found), *[not_sent] * (len(people) - len(found))]

    async def _erased(self, request: Request, notes: dict[str, object]) -> Response:
        participant, now = request.path_params["participant"], datetime.now(UTC)
        token = self._of_the_tenant(request, notes)
        if not token.admin:
            raise rejection(rejected("forbidden", "", "to erase people needs a token with admin scope"))
        if not is_participant_id(participant):
            raise rejection(rejected("invalid", "id", "is no id of a participant"))

        async def send(_: Begun) -> Future[None]:
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


def _listed(body: bytes) -> Sequence[object]:
    """Raises ProblemError 400."""
    parsed = read_json(body)
    if isinstance(parsed, Rejected):
        raise rejection(parsed)
    if not isinstance(parsed.value, list) or not parsed.value:
        raise rejection(rejected("malformed", "", "send a JSON array of at least one participant"))
    return parsed.value


def became(one: tuple[str, Receipt] | Rejected) -> Outcome:
    if isinstance(one, Rejected):
        return one
    participant, receipt = one
    became = receipt.became()
    return participant if isinstance(became, Receipt) else became


def answer_people(found: Sequence[Outcome]) -> Response:
    listing = Listing()
    entries = [{"index": index, **_entry(one, listing)} for index, one in enumerate(found)]
    recorded = sum(isinstance(one, str) for one in found)
    if not any(isinstance(one, str | UnavailableError) for one in found):
        raise ProblemError(
            400, "nothing_taken", "see the participants for the reasons", extra={"participants": entries}
        )
    counts = {"recorded": recorded, "rejected": len(found) - recorded}
    body = to_json({**counts, "participants": entries})
    return Response(body, ACCEPTED if recorded == len(found) else MIXED, media_type=JSON)


def _entry(one: Outcome, listing: Listing) -> Mapping[str, object]:
    match one:
        case Rejected(reason, errors):
            return {"id": None, "status": STATUS[reason], "reason": reason, "errors": listing.listed(errors)}
        case UnavailableError():
            return {"id": None, "status": 503, "reason": "unavailable", "errors": listing.listed((one.problem,))}
        case participant:
            return {"id": participant, "status": ACCEPTED, "reason": "recorded"}
