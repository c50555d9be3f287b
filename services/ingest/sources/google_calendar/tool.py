"""A push of Google carries the token of its channel; who sends events themselves bears the same secret."""

import json
from datetime import datetime

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Booked, Cancelled, Translation
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.strict_json import read_json
from services.ingest.domain.tools.allow_list import AllowList
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.google_calendar import translation as pushes
from services.ingest.sources.google_calendar.translation import EVENT, STATE, followed, is_push, said_of
from services.ingest.sources.tool import ApiSettings, ApiUrl, RawPayloads, Tool, ToolSettings
from services.ingest.sources.verification import Received, Refused, Verification, Verified, prove_bearer, same
from services.ingest.sources.vocabulary import as_one

CHANNEL_TOKEN = "x-goog-channel-token"  # noqa: S105 (the name of the header)


def verify(received: Received, secret: str, now: datetime) -> Verification:
    if not {STATE, CHANNEL_TOKEN} & received.headers.keys():
        return prove_bearer(received, secret, now)
    if secret and same(received.headers.get(CHANNEL_TOKEN, ""), secret):
        return Verified()
    return Refused("the header X-Goog-Channel-Token must be the token with which the channel was opened")


class GoogleCalendarSettings(ApiSettings):
    api_url: ApiUrl = "https://www.googleapis.com/calendar/v3"


PREFIX = "x-goog-"


def take(received: Received, _settings: ToolSettings, now: datetime) -> RawPayloads | Rejected:
    """A push has no body. A cancelled instance may come without the time of its change: it is when we heard of it."""
    if STATE in received.headers:
        return RawPayloads((_push(received),))
    parsed = read_json(received.body)
    if isinstance(parsed, Rejected):
        return parsed
    match parsed.value:
        case {"items": [_, *_] as items}:
            return RawPayloads(tuple(_stamped(item, now) for item in items))
        case {"id": _, "updated": str()} | {"items": _}:
            return RawPayloads((received.body,))
        case {"id": _} as event:
            return RawPayloads((_stamped(event, now),))
        case _:
            return RawPayloads((received.body,))


def _push(received: Received) -> bytes:
    told = {name: text for name, text in received.headers.items() if name.startswith(PREFIX) and name != CHANNEL_TOKEN}
    return json.dumps(told, sort_keys=True).encode()


def _stamped(event: object, now: datetime) -> bytes:
    if isinstance(event, dict) and not event.get("updated"):
        event = {**event, "updated": to_rfc3339(now)}
    return json.dumps(event, ensure_ascii=False).encode()


# A page holds up to 2,500 events, each of which is recorded for itself.
MOST_BYTES = 16 * 2**20
PAGE = AllowList(members={"items": AllowList(items=EVENT)})


def keep(value: object, _settings: ToolSettings, pseudonym: Pseudonym) -> object:
    match value:
        case dict() if is_push(value):
            return pushes.kept(value, pseudonym)
        case {"items": list()}:
            return PAGE.kept(value, pseudonym)
        case _:
            return EVENT.kept(value, pseudonym)


def translate(value: object, _settings: ToolSettings) -> Translation:
    match value:
        case dict() if is_push(value):
            return followed(value)
        case {"items": list(items)}:
            return as_one((f"items.{index}", _event(item)) for index, item in enumerate(items))
        case dict():
            return _event(value)
        case _:
            return rejected("invalid", "", "must be an event, a page of events or the headers of a push")


def _event(value: object) -> Translation:
    said = said_of(value)
    return (said,) if isinstance(said, Booked | Cancelled) else said


TOOL = Tool(
    name="google_calendar",
    verify=verify,
    translate=translate,
    settings=GoogleCalendarSettings,
    keep=keep,
    take=take,
    most_bytes=MOST_BYTES,
)
