"""What a content type says: the media type without its parameters, and whether we can read what it announces."""

import re
from typing import NamedTuple

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
JSON = "application/json"
# JSON is exchanged in UTF-8 (RFC 8259), of which ASCII is a part.
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})
# A longer one is no content type, and parsing it costs time.
LONGEST = 1_000
# A parameter as in RFC 9110, 5.6.6: its value is a token or a quoted string. It is looked for after a semicolon only,
# and no alternative begins as another does, so that no text takes long to read.
WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
PARAMETER = re.compile(rf"""(?:^|;)\s*({WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))""", re.DOTALL)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class MediaType(NamedTuple):
    """Both in lower case; `name` is empty where there is none that can be read."""

    name: str
    charset: str

    @property
    def is_json(self) -> bool:
        """As CloudEvents define it: `*/json` or `*/*+json`."""
        return self.name.endswith(("/json", "+json")) and self.charset in CHARSETS


def read_media_type(content_type: str) -> MediaType:
    """Never raises. What is no parameter as RFC 9110 writes them says nothing, other forms of `charset` included."""
    name, _, parameters = content_type[:LONGEST].partition(";")
    return MediaType(name.strip().lower(), _charset(parameters) if parameters else "utf-8")


def _charset(parameters: str) -> str:
    """The first that is named, in lower case. A quoted value may hold what separates parameters elsewhere."""
    for name, quoted, token in PARAMETER.findall(parameters):
        if name.lower() == "charset":
            return (ESCAPED.sub(r"\1", quoted) or token).strip().lower() or "utf-8"
    return "utf-8"
