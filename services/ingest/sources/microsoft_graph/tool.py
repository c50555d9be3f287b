"""Microsoft Graph as a tool."""

from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.tools.allow_list import AllowList
from services.ingest.domain.tools.said import Booked, Cancelled, Translation
from services.ingest.domain.verdict import rejected
from services.ingest.sources.microsoft_graph import events, notifications, reports
from services.ingest.sources.microsoft_graph.proof import prove
from services.ingest.sources.microsoft_graph.series import completed
from services.ingest.sources.microsoft_graph.settings import MicrosoftGraphSettings
from services.ingest.sources.microsoft_graph.taking import take
from services.ingest.sources.several import as_one
from services.ingest.sources.tool import Tool, ToolSettings

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
    prove=prove,
    translate=translate,
    settings=MicrosoftGraphSettings,
    keep=keep,
    take=take,
    most_bytes=MOST_BYTES,
    loud=notifications.LOUD,
)
