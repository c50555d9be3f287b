"""Microsoft Graph's webhook: subscription validation, and notifications authenticated by their clientState. Posted
events and reports are authenticated by the same secret as bearer token."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, TypeGuard
from urllib.parse import quote, unquote

from pydantic import Field

from services.ingest.domain.activity import Pointer, Translation
from services.ingest.domain.cloudevents import Parsed, read_json
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import CUT, Leaf, address_in, allow_list
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.calendar import ApiSettings, ApiUrl, as_translation, split_page
from services.ingest.sources.microsoft_graph import events, reports
from services.ingest.sources.microsoft_graph.events import CHANGED, REMOVED, with_master_data
from services.ingest.sources.tool import (
    BodyNeeded,
    Handshake,
    RawPayloads,
    Received,
    Tool,
    ToolSettings,
    Unverified,
    Verification,
    Verified,
    constant_time_equal,
    verify_bearer,
)
from services.ingest.sources.vendor_model import MaybeIdent, MaybeText, MaybeWord, VendorModel, read
from services.ingest.sources.vocabulary import combine

LIFECYCLE = {
    "reauthorizationRequired": "reauthorization_required",
    "subscriptionRemoved": "subscription_removed",
    "missed": "notifications_missed",
}
OPERATOR_REASONS = frozenset(LIFECYCLE.values())
LONGEST_RESOURCE = 2_000

# A notification for any entry points to the entire calendar view: its delta is complete even if a notification was
# lost, and lists the occurrences of a series. Group calendars have no delta.
_CALENDAR = re.compile(r"(?P<owner>(users/[^/]+|me)(/calendars/[^/]+)?)(/calendar)?/events/[^/]+")
_GROUP = re.compile(r"groups/[^/]+(/calendar)?/events/[^/]+")
_MEETING = re.compile(r"(?P<owner>(users/[^/]+|me)/onlineMeetings/[^/]+)(?P<report>/attendanceReports/[^/]+)?(/.*)?")
_WORDS = {word.lower(): word for word in ("users", "me", "groups", "calendar", "calendars", "events", "onlineMeetings")}
_WORDS["attendancereports"] = "attendanceReports"
# OData writes users('id') for users/id; such an id may contain a slash.
_PART = re.compile(r"(?:'[^']*'|[^/'])+")
_KEYED = re.compile(r"(?P<word>\w+)\('(?P<key>[^']+)'\)")


# A Graph id contains no blanks; quoted text may have any length.
_SEGMENT = re.compile(r"[!-$&-?A-~]{1,512}")


def _resource(text: str, _: Pseudonym) -> str:
    """Keep a path of ids and addresses that is fetched; replace any other path."""
    if len(text) > LONGEST_RESOURCE or not isinstance(_pointer(_path(text)), Pointer):
        return CUT
    steps = map(unquote, _segments(text))
    return text if all(_SEGMENT.fullmatch(step) or address_in(step) == step for step in steps) else CUT


class _Notification(VendorModel):
    subscription: MaybeIdent = Field("", alias="subscriptionId")
    resource: Annotated[MaybeText, Leaf("the path of a resource", _resource)] = ""
    lifecycle: MaybeWord = Field("", alias="lifecycleEvent")


NOTIFICATION = allow_list(_Notification)


def is_notification(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict) and ("subscriptionId" in value or "lifecycleEvent" in value)


def notifications_in(value: object) -> list[object]:
    """Return the notifications of a POST; none for any other payload."""
    listed = value.get("value") if isinstance(value, dict) else None
    return listed if isinstance(listed, list) and any(map(is_notification, listed)) else []


def pointer_of(notification: dict[str, object]) -> Pointer | Ignored | Rejected:
    """Encrypted content is not read: it contains no more than the resource that it points to."""
    notifications = read(_Notification, notification)
    if isinstance(notifications, Rejected):
        return notifications
    if notifications.lifecycle:
        return Ignored(LIFECYCLE.get(notifications.lifecycle, "lifecycle"))
    if not notifications.resource or len(notifications.resource) > LONGEST_RESOURCE:
        return rejected("invalid", "resource", "is required: it says what changed")
    return _pointer(_path(notifications.resource))


def _pointer(path: str) -> Pointer | Ignored:
    if found := _CALENDAR.fullmatch(path):
        return Pointer(f"{found['owner']}/calendarView")
    if _GROUP.fullmatch(path):
        return Pointer(path)
    if found := _MEETING.fullmatch(path):
        return Pointer(found["owner"] + (found["report"] or "/attendanceReports"))
    return Ignored("other_resource")


def _path(resource: str) -> str:
    """Normalise the path and quote every id, so that no id can leave its parent path."""
    quoted = (quote(unquote(step), safe="@=") for step in _segments(resource))
    # Segments of dots only would be parent directories in a URL.
    safe = (step.replace(".", "%2E") if set(step) <= {"."} else step for step in quoted)
    return "/".join(_WORDS.get(step.lower()) or step for step in safe)


def _segments(resource: str) -> Iterator[str]:
    for part in _PART.findall(resource):
        keyed = _KEYED.fullmatch(part)
        yield from keyed.groups() if keyed else (part,)


# Graph's own tokens are far shorter; the limit keeps senders from having us echo arbitrary text.
LONGEST_TOKEN = 4096
# A notification has about 700 bytes; this is the only body that is parsed before verification.
MAX_UNPROVEN_BYTES = 64 * 2**10


def verify(received: Received, secret: str, now: datetime) -> Verification:
    if token := received.query.get("validationToken"):
        if len(token) > LONGEST_TOKEN:
            return Unverified("the validationToken is too long for one of Graph's")
        return Handshake(token.encode(errors="replace"), "text/plain")
    if "authorization" in received.headers:
        return verify_bearer(received, secret, now)
    if received.is_head:
        return BodyNeeded(MAX_UNPROVEN_BYTES)
    parsed = read_json(received.body)
    notifications = notifications_in(parsed.value) if isinstance(parsed, Parsed) else ()
    states = [one.get("clientState") if isinstance(one, dict) else None for one in notifications]
    # Compare every one, so that the response time does not reveal which one was wrong.
    if secret and states and all([isinstance(state, str) and constant_time_equal(state, secret) for state in states]):  # noqa: C419
        return Verified()
    return Unverified(
        "every notification must carry the clientState with which this connection's subscriptions were made"
    )


class MicrosoftGraphSettings(ApiSettings):
    """National clouds have other API addresses."""

    api_url: ApiUrl = "https://graph.microsoft.com/v1.0"


def split(received: Received, _settings: ToolSettings, now: datetime) -> RawPayloads | Rejected:
    """A removed event lacks the time of its removal, and an event fetched with selected fields may lack the time of its
    change."""
    full_event = {"id", "start", "end"}
    return split_page(
        received, "value", (CHANGED, now), lambda one: REMOVED in one or full_event <= one.keys(), with_master_data
    )


# A page holds up to 1,000 events and a POST many notifications; each becomes its own record.
MAX_BYTES = 16 * 2**20


def redact(value: object, _settings: ToolSettings, pseudonym: Pseudonym) -> object:
    if isinstance(value, dict) and isinstance(value.get("value"), list):
        return {"value": [_redact_one(one, pseudonym) for one in value["value"]]}
    return _redact_one(value, pseudonym)


# Resources that are neither event nor report, recognised by a characteristic member; nothing of them is stored.
OTHER_RESOURCE_MEMBERS = (
    *("messageType", "chatType", "modalities", "joinWebUrl", "transcriptContentUrl", "recordingContentUrl"),
    *("availability", "userPrincipalName"),
)
OTHER_RESOURCE = {"other_resource": True}


def _is_other(value: object) -> bool:
    if value == OTHER_RESOURCE or not isinstance(value, dict):
        return value == OTHER_RESOURCE
    is_used = is_notification(value) or reports.is_report(value) or REMOVED in value or "start" in value
    return not is_used and any(name in value for name in OTHER_RESOURCE_MEMBERS)


def _redact_one(value: object, pseudonym: Pseudonym) -> object:
    if _is_other(value):
        return OTHER_RESOURCE
    if is_notification(value):
        return NOTIFICATION.redact(value, pseudonym)
    kind = reports.REPORT if isinstance(value, dict) and reports.is_report(value) else events.EVENT
    return kind.redact(value, pseudonym)


def translate(value: object, _settings: ToolSettings) -> Translation:
    match value:
        case {"value": [one]}:
            return _translate_one(one)
        case {"value": list()} if notifications_in(value):
            return rejected("invalid", "value", "holds several notifications: each is to be recorded for itself")
        case {"value": list(listed)}:
            return combine(
                (f"value.{index}", _translate_one(one)) for index, one in enumerate(with_master_data(listed))
            )
        case _:
            return _translate_one(value)


def _translate_one(value: object) -> Translation:
    if not isinstance(value, dict):
        return rejected("invalid", "", "must be a notification, an event, an attendance report, or a page of them")
    if is_notification(value):
        return pointer_of(value)
    if _is_other(value):
        return Ignored("other_resource")
    if reports.is_report(value):
        return reports.activities_of(value)
    return as_translation(events.verdict_of(value))


TOOL = Tool(
    "microsoft_graph",
    verify,
    translate,
    redact,
    MicrosoftGraphSettings,
    split=split,
    most_bytes=MAX_BYTES,
    operator_reasons=OPERATOR_REASONS,
)
