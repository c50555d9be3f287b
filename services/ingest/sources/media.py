"""Which content types a tool may send."""

from services.ingest.domain.cloudevents.media_type import JSON, read_media_type
from services.ingest.sources.tool import Tool


def is_served(content_type: str, tool: Tool) -> bool:
    """Without any the body is taken for what the tool documents, and read or refused as that."""
    if not content_type:
        return True
    media = read_media_type(content_type)
    return media.name in tool.media_types or (JSON in tool.media_types and media.is_json)
