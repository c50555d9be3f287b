"""What a content type says: the media type without its parameters, and whether we can read what it announces."""

from email.message import Message
from typing import NamedTuple

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
JSON = "application/json"
# JSON is exchanged in UTF-8 (RFC 8259), of which ASCII is a part.
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})
# A longer one is no content type, and parsing it costs time.
LONGEST = 1_000


class MediaType(NamedTuple):
    """Both in lower case; `name` is empty where there is none that can be read."""

    name: str
    charset: str

    @property
    def is_json(self) -> bool:
        """As CloudEvents define it: `*/json` or `*/*+json`."""
        return self.name.endswith(("/json", "+json")) and self.charset in CHARSETS


def read_media_type(content_type: str) -> MediaType:
    name, _, parameters = content_type[:LONGEST].partition(";")
    return MediaType(name.strip().lower(), _charset(parameters) if parameters else "utf-8")


def _charset(parameters: str) -> str:
    header = Message()
    header["content-type"] = f"any/any;{parameters}"
    return header.get_content_charset() or "utf-8"
