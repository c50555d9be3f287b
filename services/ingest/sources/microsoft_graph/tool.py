"""Microsoft Graph as a tool."""

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
FREE_TEXT = frozenset(
    {"subject", "body", "bodyPreview", "location", "locations", "displayName", "name", "categories"}
    | {"onlineMeeting", "onlineMeetingUrl", "webLink", "attachments", "extensions", "recurrence"}
    | {"singleValueExtendedProperties", "multiValueExtendedProperties", "registrationId", "externalEventRegistration"}
    # No free text: the one is a secret, of the other we read nothing.
    | {"clientState", "encryptedContent", "validationTokens"}
)


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
    free_text=FREE_TEXT,
    take=take,
    most_bytes=MOST_BYTES,
    loud=notifications.LOUD,
)
