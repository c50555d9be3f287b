"""Graph first asks whether it speaks with us, then every notification carries the clientState of its subscription.
Who sends events and reports themselves bears the same secret."""

import json
from collections.abc import Iterable
from datetime import datetime

from schemas.primitives import to_rfc3339
from services.ingest.domain.activity import Booked, Cancelled, Translation
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.domain.tools.allow_list import AllowList
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.microsoft_graph import events, notifications, reports
from services.ingest.sources.microsoft_graph.events import CHANGED, REMOVED, completed
from services.ingest.sources.microsoft_graph.notifications import in_notifications
from services.ingest.sources.tool import ApiSettings, ApiUrl, RawPayloads, Tool, ToolSettings
from services.ingest.sources.verification import (
    BodyNeeded,
    Handshake,
    Received,
    Refused,
    Verification,
    Verified,
    prove_bearer,
    same,
)
from services.ingest.sources.vocabulary import as_one

# As Graph makes it, it is shorter by far; nobody shall have us say a novel.
LONGEST_TOKEN = 4096
# A notification has some 700 bytes; here alone a body is parsed before it is proven.
MOST_UNPROVEN_BYTES = 64 * 2**10


def verify(received: Received, secret: str, now: datetime) -> Verification:
    if token := received.query.get("validationToken"):
        if len(token) > LONGEST_TOKEN:
            return Refused("the validationToken is too long for one of Graph's")
        return Handshake(token.encode(errors="replace"), "text/plain")
    if "authorization" in received.headers:
        return prove_bearer(received, secret, now)
    if received.is_head:
        return BodyNeeded(MOST_UNPROVEN_BYTES)
    parsed = read_json(received.body)
    told = in_notifications(parsed.value) if isinstance(parsed, Parsed) else ()
    if secret and told and _all_same(told, secret):
        return Verified()
    return Refused("every notification must carry the clientState with which this connection's subscriptions were made")


def _all_same(notifications: Iterable[object], secret: str) -> bool:
    states = [one.get("clientState") if isinstance(one, dict) else None for one in notifications]
    # Every one is compared, lest the time of the answer tell which one was wrong.
    return all([isinstance(state, str) and same(state, secret) for state in states])  # noqa: C419


class MicrosoftGraphSettings(ApiSettings):
    """National clouds have addresses of their own."""

    api_url: ApiUrl = "https://graph.microsoft.com/v1.0"


def take(received: Received, _settings: ToolSettings, now: datetime) -> RawPayloads | Rejected:
    """What was removed comes without the time of its removal: it is when we heard of it."""
    parsed = read_json(received.body)
    if isinstance(parsed, Rejected):
        return parsed
    match parsed.value:
        case {"value": [_, *_] as listed}:
            return RawPayloads(
                tuple(json.dumps(_stamped(one, now), ensure_ascii=False).encode() for one in completed(listed))
            )
        case dict() as one if _stamped(one, now) != one:
            return RawPayloads((json.dumps(_stamped(one, now), ensure_ascii=False).encode(),))
        case _:
            return RawPayloads((received.body,))


def _stamped(one: object, now: datetime) -> object:
    if isinstance(one, dict) and REMOVED in one and not one.get(CHANGED):
        return {**one, CHANGED: to_rfc3339(now)}
    return one


# A page holds up to 1,000 events, and a POST many notifications, each of which is recorded for itself.
MOST_BYTES = 16 * 2**20


def keep(value: object, _settings: ToolSettings, pseudonym: Pseudonym) -> object:
    if isinstance(value, dict) and isinstance(value.get("value"), list):
        return {"value": [_list_of(one).kept(one, pseudonym) for one in value["value"]]}
    return _list_of(value).kept(value, pseudonym)


def _list_of(value: object) -> AllowList:
    if notifications.is_notification(value):
        return notifications.NOTIFICATION
    return reports.REPORT if isinstance(value, dict) and reports.is_report(value) else events.EVENT


def translate(value: object, _settings: ToolSettings) -> Translation:
    match value:
        case {"value": [one]}:
            return _one(one)
        case {"value": list()} if notifications.in_notifications(value):
            return rejected("invalid", "value", "holds several notifications: each is to be recorded for itself")
        case {"value": list(listed)}:
            return as_one((f"value.{index}", _one(one)) for index, one in enumerate(completed(listed)))
        case _:
            return _one(value)


def _one(value: object) -> Translation:
    if not isinstance(value, dict):
        return rejected("invalid", "", "must be a notification, an event, an attendance report, or a page of them")
    if notifications.is_notification(value):
        return notifications.followed(value)
    if reports.is_report(value):
        return reports.said_of(value)
    said = events.said_of(value)
    return (said,) if isinstance(said, Booked | Cancelled) else said


TOOL = Tool(
    name="microsoft_graph",
    verify=verify,
    translate=translate,
    settings=MicrosoftGraphSettings,
    keep=keep,
    take=take,
    most_bytes=MOST_BYTES,
    loud=notifications.LOUD,
)
