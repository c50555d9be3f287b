"""Records in quarantine, as their headers tell of them, and which of them may be sent again."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas.topics import RAW_CLOUDEVENTS, RAW_TOOLS
from services.ingest.domain.strict_json import Parsed, read_json

ORIGINAL = "header."
"""The prefix under which the headers of the original are kept."""
REQUEUED = "requeued"
"""A record with this header is no rejection: it says that the one with its key was sent again."""
REQUEUED_FROM = "requeued_from"
"""On a record that was sent again: where it lay first."""
RAW_TOPICS = frozenset(topic.name for topic in (RAW_CLOUDEVENTS, *RAW_TOOLS))
HEADERS_CUT, KEY_CUT = "headers_cut", "key_cut"
NOTHING_KEPT = "nothing_kept"
"""The header that says why a record lies there empty."""
# Why the original cannot be had back, by the header that says so.
LOSSES = {
    "cut_from_bytes": "its bytes were cut",
    HEADERS_CUT: "its headers were cut",
    KEY_CUT: "its key was cut",
    NOTHING_KEPT: "nothing of it was kept",
}


@dataclass(frozen=True)
class DeadLetter:
    """`key` is where the original lies: topic/partition/offset, and #n for one payload of several. `since` is when it
    was set aside. `headers` are those of the original, `notes` all that quarantine says."""

    key: str
    since: datetime
    notes: Mapping[str, str]
    headers: tuple[tuple[str, bytes], ...]
    origin_key: bytes | None
    value: bytes

    @property
    def reason(self) -> str:
        return self.notes.get("reason", "")

    @property
    def tool(self) -> str:
        return self.notes.get("tool", "")

    @property
    def connection(self) -> str:
        return self.notes.get("connection") or dict(self.headers).get("connection", b"").decode(errors="replace")

    @property
    def topic(self) -> str:
        return self.notes.get("origin_topic", "")

    @property
    def detail(self) -> str:
        return f"{self.notes.get('path', '')}: {self.notes.get('detail', '')}".removeprefix(": ")

    def again(self) -> tuple[tuple[str, bytes], ...]:
        """The headers with which it is sent again."""
        kept = tuple((name, value) for name, value in self.headers if name != REQUEUED_FROM)
        return (*kept, (REQUEUED_FROM, self.key.encode()))


@dataclass(frozen=True)
class DeadLetterFilter:
    """Empty means any."""

    reasons: frozenset[str] = frozenset()
    tools: frozenset[str] = frozenset()
    connections: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    since: datetime | None = None

    def matches(self, one: DeadLetter) -> bool:
        return (
            (not self.reasons or one.reason in self.reasons)
            and (not self.tools or one.tool in self.tools)
            and (not self.connections or one.connection in self.connections)
            and (not self.topics or one.topic in self.topics)
            and (not self.keys or one.key in self.keys)
            and (self.since is None or one.since >= self.since)
        )


def quarantined(
    key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]], since: datetime
) -> DeadLetter:
    """Whatever lies on the topic; what it does not say is empty."""
    given = [(name, content or b"") for name, content in headers]
    said = dict(given)
    return DeadLetter(
        key=(key or b"").decode(errors="backslashreplace"),
        since=since,
        notes={name: text.decode(errors="replace") for name, text in said.items() if not name.startswith(ORIGINAL)},
        headers=tuple((name.removeprefix(ORIGINAL), text) for name, text in given if name.startswith(ORIGINAL)),
        origin_key=said.get("origin_key"),
        value=value or b"",
    )


def is_marker(one: DeadLetter) -> bool:
    return REQUEUED in one.notes


def hindrance(one: DeadLetter) -> str | None:
    """Why it cannot be sent again; None if it can."""
    if one.topic not in RAW_TOPICS:
        return "it does not come from a raw topic"
    return next((words for header, words in LOSSES.items() if header in one.notes), None)


def harmless(text: str) -> str:
    """One line: what does not print, escape sequences and turned-around text among it, is written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def shown(value: bytes, most: int) -> str:
    """At most so many characters, JSON over several lines; says how much is left out."""
    parsed = read_json(value)
    text = json.dumps(parsed.value, indent=2, ensure_ascii=False) if isinstance(parsed, Parsed) else _text(value)
    lines = "\n".join(map(harmless, text[:most].split("\n")))
    return f"{lines}\n... {len(text) - most} more characters" if len(text) > most else lines


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")
