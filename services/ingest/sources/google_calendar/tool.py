"""Google Calendar as a tool."""

from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.tools.allow_list import AllowList
from services.ingest.domain.tools.said import Booked, Cancelled, Translation
from services.ingest.domain.verdict import rejected
from services.ingest.sources.google_calendar import pushes
from services.ingest.sources.google_calendar.events import EVENT, said_of
from services.ingest.sources.google_calendar.proof import prove
from services.ingest.sources.google_calendar.pushes import followed, is_push
from services.ingest.sources.google_calendar.settings import GoogleCalendarSettings
from services.ingest.sources.google_calendar.taking import take
from services.ingest.sources.several import as_one
from services.ingest.sources.tool import Tool, ToolSettings

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
    prove=prove,
    translate=translate,
    settings=GoogleCalendarSettings,
    keep=keep,
    take=take,
    most_bytes=MOST_BYTES,
)
