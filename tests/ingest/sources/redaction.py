"""What a tool keeps of a payload, as the gateway would store it."""

import json
from typing import Any

from services.ingest.domain.cloudevents import JSON
from services.ingest.domain.ids import pseudonym_of
from services.ingest.domain.scope import ConnectionScope
from services.ingest.sources.tool import Connection, RedactedPayload, Tool, ToolSettings
from tests.ingest.conftest import DIGEST_KEY

PSEUDONYM = pseudonym_of(DIGEST_KEY, "acme")


def connection_of(tool: Tool, settings: ToolSettings) -> Connection:
    return Connection(ConnectionScope("acme", None, tool.name, "any"), tool, settings, "", digest_key=DIGEST_KEY)


def redacted_by(tool: Tool, value: object, settings: ToolSettings | None = None) -> Any:  # noqa: ANN401 (JSON)
    """The value after it was written and read again."""
    found = connection_of(tool, settings or tool.settings()).redact(json.dumps(value).encode(), JSON)
    assert isinstance(found, RedactedPayload)
    assert json.loads(found.payload) == found.value
    return json.loads(found.payload)
