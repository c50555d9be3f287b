"""What each pattern of our schemas means, in words: an expression alone tells nobody what to write."""

import re
from collections.abc import Mapping
from typing import Any

from schemas.primitives import Code, EventId, Id, SourceUri


def _pattern(annotated: Any) -> str:  # noqa: ANN401 (an Annotated type)
    """Of its first note that has one."""
    notes = [note for one in annotated.__metadata__ for note in (one, *getattr(one, "metadata", ()))]
    return next(str(note.pattern) for note in notes if getattr(note, "pattern", None))


PATTERN_WORDS: Mapping[str, str] = {
    _pattern(Id): "an id: 1 to 128 letters, digits and . _ : - , the first a letter or digit; no blank, @ or /",
    _pattern(Code): "a code: lower-case letters, digits and _ only, at most 64, the first a letter",
    _pattern(EventId): "an id without control characters",
    _pattern(SourceUri): "a URI or path of 1 to 512 visible ASCII characters, without blanks",
    r"^mentoring\.[a-z_]+\.[a-z_]+\.v[0-9]+$": "a type such as mentoring.session.held.v1",
    r"^[^@\s]+@[^@\s]+$": "an e-mail address alone: no name around it, no blank",
    r"^[0-9a-f]{64}$": "a SHA-256 in lower-case hex",
    r"([Zz]|[+\-][0-9]{2}:[0-9]{2})$": "a time with its offset: 2026-03-31T16:30:00Z or 2026-03-31T16:30:00+02:00",
}
_NAMED = re.compile(r"^String should match pattern '(?P<pattern>.*)'$", re.DOTALL)


def pattern_in_words(message: str) -> str:
    """What pydantic says of a text that does not fit, in our words; as it is where we have none."""
    found = _NAMED.match(message)
    words = PATTERN_WORDS.get(found["pattern"]) if found else None
    return f"must be {words}" if words else message
