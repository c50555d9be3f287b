"""A push says that something in a calendar changed, not what: it points to the calendar's events."""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from services.ingest.domain.pseudonym import Pseudonym, is_plain
from services.ingest.domain.tools.allow_list import AllowList
from services.ingest.domain.tools.leaves import CUT, WORD, Leaf, address_in
from services.ingest.domain.tools.said import Pointer
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.google_calendar.proof import STATE

URI = "x-goog-resource-uri"
# The first push of a channel (`sync`) is followed too: it brings what is booked already, and after a channel was
# renewed what happened meanwhile. A calendar that is gone (`not_exists`) is found to be gone.
STATES = ("sync", "exists", "not_exists")
_CALENDAR = re.compile(r"/calendars/(?P<id>[^/]{1,512})/events/?$")
_ID = re.compile(r"[!-.0-~]{1,320}", re.ASCII)
# Such as are told to be none.
NO_URI, NO_CALENDAR = "http://[", "/calendars/%20/events"


def kept(push: Mapping[str, object], pseudonym: Pseudonym) -> object:
    return _PUSH.kept({name.lower(): text for name, text in push.items()}, pseudonym)


def is_push(value: Mapping[str, object]) -> bool:
    return any(name.lower() == STATE for name in value)


def followed(push: Mapping[str, object]) -> Pointer | Ignored | Rejected:
    told = {name.lower(): text for name, text in push.items()}
    if told[STATE] not in STATES:
        return Ignored("unknown_state")
    uri = told.get(URI)
    if not isinstance(uri, str):
        return rejected("invalid", URI, "is required: it says which calendar changed")
    return _pointer(uri)


def _pointer(uri: str) -> Pointer | Ignored | Rejected:
    """Only the calendar's id is taken from it: where the API is, the settings say."""
    try:
        found = _CALENDAR.search(urlsplit(uri).path)
    except ValueError:
        return rejected("invalid", URI, "is no URI")
    if found is None:
        return Ignored("no_events")
    calendar = unquote(found["id"])
    if not _ID.fullmatch(calendar) or calendar in {".", ".."}:
        return rejected("invalid", URI, "names no calendar")
    return Pointer(f"calendars/{quote(calendar, safe='')}/events")


def _calendar_uri(uri: str, _: Pseudonym) -> str:
    """The calendar's id is an address or what Google makes; nothing else of the URI is read."""
    try:
        found = _CALENDAR.search(urlsplit(uri).path)
    except ValueError:
        return NO_URI
    if found is None:
        return CUT
    calendar = unquote(found["id"])
    is_id = is_plain(calendar) or address_in(calendar) == calendar
    return f"/calendars/{quote(calendar, safe='')}/events" if is_id else NO_CALENDAR


_PUSH = AllowList(members={STATE: AllowList(WORD), URI: AllowList(Leaf("the URI of a calendar", _calendar_uri))})
