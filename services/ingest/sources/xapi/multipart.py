"""Statements with attachments come as multipart/mixed: the first part is the statements, the rest is none of ours."""

from email import message_from_bytes, policy
from email.message import EmailMessage

from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.domain.verdict import Rejected, rejected

MIXED = "multipart/mixed"
JSON = "application/json"
# Of a content type: a boundary has at most 70 characters.
LONGEST_TYPE = 500


def parse(body: bytes, media_type: str) -> Parsed | Rejected:
    if not media_type.lower().lstrip().startswith(MIXED):
        return read_json(body)
    if len(media_type) > LONGEST_TYPE or not media_type.isascii() or not media_type.isprintable():
        return rejected("malformed", "", "the content type is none")
    content = _first_part(body, media_type)
    return content if isinstance(content, Rejected) else read_json(content)


def _first_part(body: bytes, media_type: str) -> bytes | Rejected:
    """The standard library's parser raises whatever comes up for headers that it did not foresee: encoded parameters
    of an unknown charset, quotes that never end."""
    try:
        message = message_from_bytes(f"Content-Type: {media_type}\r\n\r\n".encode() + body, policy=policy.HTTP)
        parts = list(message.iter_parts()) if isinstance(message, EmailMessage) and message.is_multipart() else []
        if not parts or parts[0].get_content_type() != JSON:
            return rejected("malformed", "", f"the first part of {MIXED} must be {JSON}")
        content = parts[0].get_payload(decode=True)
    except Exception as failure:  # noqa: BLE001 (told to the sender; nothing but the message is parsed here)
        return rejected("malformed", "", f"is no {MIXED} that can be read: {type(failure).__name__}")
    return content if isinstance(content, bytes) else rejected("malformed", "", "the first part is empty")
