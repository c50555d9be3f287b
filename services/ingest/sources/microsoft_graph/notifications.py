"""A change notification says that a resource changed, not how: it points to it. A lifecycle notification says that
notifications are, or soon will be, missing: only an operator can help that."""

import re
from typing import Annotated, TypeGuard
from urllib.parse import quote, unquote

from pydantic import Field

from services.ingest.domain.activity import Pointer
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import CUT, Leaf, address_in, allow_list
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.vendor_model import MaybeIdent, MaybeText, MaybeWord, VendorModel, read

LIFECYCLE = {
    "reauthorizationRequired": "reauthorization_required",
    "subscriptionRemoved": "subscription_removed",
    "missed": "notifications_missed",
}
LOUD = frozenset(LIFECYCLE.values())
LONGEST_RESOURCE = 2_000

# Any one entry of a mailbox's calendar points to the calendar: what changed there since last time is complete, also
# where a notification was lost, and names the occurrences of a series. Calendars of groups have no such memory.
_CALENDAR = re.compile(r"(?P<whose>(users/[^/]+|me)(/calendars/[^/]+)?)(/calendar)?/events/[^/]+")
_GROUP = re.compile(r"groups/[^/]+(/calendar)?/events/[^/]+")
_MEETING = re.compile(r"(?P<whose>(users/[^/]+|me)/onlineMeetings/[^/]+)(?P<report>/attendanceReports/[^/]+)?(/.*)?")
_WORDS = {word.lower(): word for word in ("users", "me", "groups", "calendar", "calendars", "events", "onlineMeetings")}
_WORDS["attendancereports"] = "attendanceReports"
# OData writes users('id') for users/id, and then an id may hold a slash.
_PART = re.compile(r"(?:'[^']*'|[^/'])+")
_KEYED = re.compile(r"(?P<word>\w+)\('(?P<key>[^']+)'\)")


# An id of Graph's has no blanks; as text in quotes it may have any length.
_STEP = re.compile(r"[!-$&-?A-~]{1,512}")


def _resource(text: str, _: Pseudonym) -> str:
    """A path that is followed, of ids and addresses; of any other only that it is another."""
    if len(text) > LONGEST_RESOURCE or not isinstance(_pointer(_path(text)), Pointer):
        return CUT
    steps = [unquote(step) for part in _PART.findall(text) for step in _steps(part)]
    return text if all(_STEP.fullmatch(step) or address_in(step) == step for step in steps) else CUT


class _Notification(VendorModel):
    subscription: MaybeIdent = Field("", alias="subscriptionId")
    resource: Annotated[MaybeText, Leaf("the path of a resource", _resource)] = ""
    lifecycle: MaybeWord = Field("", alias="lifecycleEvent")


NOTIFICATION = allow_list(_Notification)


def is_notification(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict) and ("subscriptionId" in value or "lifecycleEvent" in value)


def in_notifications(value: object) -> list[object]:
    """Those of a POST; none if it is something else."""
    listed = value.get("value") if isinstance(value, dict) else None
    return listed if isinstance(listed, list) and any(map(is_notification, listed)) else []


def followed(notification: dict[str, object]) -> Pointer | Ignored | Rejected:
    """Encrypted content is not read: it says no more than what it points to."""
    told = read(_Notification, notification)
    if isinstance(told, Rejected):
        return told
    if told.lifecycle:
        return Ignored(LIFECYCLE.get(told.lifecycle, "lifecycle"))
    if not told.resource or len(told.resource) > LONGEST_RESOURCE:
        return rejected("invalid", "resource", "is required: it says what changed")
    return _pointer(_path(told.resource))


def _pointer(path: str) -> Pointer | Ignored:
    if found := _CALENDAR.fullmatch(path):
        return Pointer(f"{found['whose']}/calendarView")
    if _GROUP.fullmatch(path):
        return Pointer(path)
    if found := _MEETING.fullmatch(path):
        return Pointer(found["whose"] + (found["report"] or "/attendanceReports"))
    return Ignored("other_resource")


def _path(resource: str) -> str:
    """In one way of writing, every id quoted, so that no id leads elsewhere than below its parent."""
    steps = [step for part in _PART.findall(resource) for step in _steps(part)]
    return "/".join(_WORDS.get(step.lower()) or _quoted(step) for step in steps)


def _steps(part: str) -> tuple[str, ...]:
    keyed = _KEYED.fullmatch(part)
    return (keyed["word"], keyed["key"]) if keyed else (part,)


def _quoted(step: str) -> str:
    # Dots alone would be steps upwards, whoever reads the address.
    text = unquote(step)
    return quote(text, safe="@=").replace(".", "%2E") if set(text) <= {"."} else quote(text, safe="@=")
