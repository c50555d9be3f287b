"""What Zoom offers to the rest of ingest."""

from datetime import datetime

from services.ingest.sources.proof import Received
from services.ingest.sources.taken import JSON, Answer, Taken
from services.ingest.sources.tool import Tool, ToolSettings
from services.ingest.sources.zoom.proof import prove
from services.ingest.sources.zoom.translation import keep, translate

# Zoom takes 200 and 204 for delivered (Webhook delays, devsupport.zoom.us) and stops sending after three retries.
RECORDED = Answer(200, b'{"status": 200, "reason": "recorded"}')


def take(received: Received, _settings: ToolSettings, _now: datetime) -> Taken:
    return Taken((received.body,), received.headers.get("content-type", JSON), RECORDED)


TOOL = Tool(name="zoom", prove=prove, translate=translate, keep=keep, take=take)
