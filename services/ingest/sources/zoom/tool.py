"""What Zoom offers to the rest of ingest."""

from datetime import datetime

from services.ingest.sources.proof import Received
from services.ingest.sources.taken import JSON, Answer, Taken
from services.ingest.sources.tool import Tool, ToolSettings
from services.ingest.sources.zoom.proof import prove
from services.ingest.sources.zoom.translation import translate

# Titles, passwords, links that let anybody in, and names: none of it is needed, and `leave_reason` holds a name too.
FREE_TEXT = frozenset(
    {
        *("topic", "agenda", "password", "join_url", "start_url", "registration_url", "user_name", "leave_reason"),
        *("private_user_name", "phone_number", "h323_password", "pstn_password", "encrypted_password"),
        *("tracking_fields", "issues", "message_content", "chat_message", "name", "first_name", "last_name"),
        *("custom_questions",),
    }
)

# Zoom takes 200 and 204 for delivered (Webhook delays, devsupport.zoom.us) and stops sending after three retries.
RECORDED = Answer(200, b'{"status": 200, "reason": "recorded"}')


def take(received: Received, _settings: ToolSettings, _now: datetime) -> Taken:
    return Taken((received.body,), received.headers.get("content-type", JSON), RECORDED)


TOOL = Tool(name="zoom", prove=prove, translate=translate, free_text=FREE_TEXT, take=take)
