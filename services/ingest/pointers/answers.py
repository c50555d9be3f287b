"""What a tool's API says to one question, and to a whole round of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from services.ingest.domain.verdict import Rejected


@dataclass(frozen=True)
class Got:
    body: Mapping[str, object]


@dataclass(frozen=True)
class Gone:
    """It is not there (any more), or not for us to see: tools tell that alike."""


@dataclass(frozen=True)
class Stale:
    """The sync token is too old, or was given for other questions: read everything again."""


_TOKEN = re.compile(r"[A-Za-z0-9._~%+/=:-]{1,4096}")


def sync_token(value: object) -> str | None:
    """As a tool's API gives it; what is like no token is none, and the calendar is read anew next time."""
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else None


Answer = Got | Gone | Stale | Rejected


@dataclass(frozen=True)
class Round:
    """`body` is what was found, as the tool writes a page. With `token` one asks next time; None where the tool has no
    such thing for this resource."""

    body: Mapping[str, object]
    token: str | None = None


Fetched = Round | Gone | Stale | Rejected
