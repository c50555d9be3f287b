"""Dead letters: quarantined records, which of them can be requeued, and what may be kept of an event."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from schemas.events import EVENT_TYPES, MENTORING_EVENT, partition_key
from schemas.field_names import UNKNOWN, safe_path
from schemas.topics import RAW_CLOUDEVENTS, RAW_TOOLS
from services.ingest.domain.admission import sanitize
from services.ingest.domain.cloudevents import ENCODED, Parsed, normal_form, read_json
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Problem, Rejected

ORIGINAL = "header."
"""The prefix under which the headers of the original are kept."""
REQUEUED = "requeued"
"""A record with this header is a marker: the dead letter with its key was sent again."""
REQUEUED_FROM = "requeued_from"
"""On a record that was sent again: its first origin."""
RAW_TOPICS = frozenset(topic.name for topic in (RAW_CLOUDEVENTS, *RAW_TOOLS))
HEADERS_CUT, KEY_CUT = "headers_cut", "key_cut"
NOTHING_KEPT = "nothing_kept"
"""The header with the reason why a dead letter is empty."""
# Why the original cannot be restored, by header.
LOSSES = {
    "cut_from_bytes": "its bytes were cut",
    HEADERS_CUT: "its headers were cut",
    KEY_CUT: "its key was cut",
    NOTHING_KEPT: "nothing of it was kept",
}


@dataclass(frozen=True)
class DeadLetter:
    """`key` is the origin: topic/partition/offset, and #n for one payload of several. `since` is when it was
    quarantined. `headers` are those of the original, `notes` those that quarantine added."""

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
        """The headers to requeue it with."""
        storable = tuple((name, value) for name, value in self.headers if name != REQUEUED_FROM)
        return (*storable, (REQUEUED_FROM, self.key.encode()))


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


def parse_dead_letter(
    key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]], since: datetime
) -> DeadLetter:
    """Reads any record of the topic; missing fields are empty."""
    contents = [(name, content or b"") for name, content in headers]
    by_name = dict(contents)
    return DeadLetter(
        key=(key or b"").decode(errors="backslashreplace"),
        since=since,
        notes={name: text.decode(errors="replace") for name, text in by_name.items() if not name.startswith(ORIGINAL)},
        headers=tuple((name.removeprefix(ORIGINAL), text) for name, text in contents if name.startswith(ORIGINAL)),
        origin_key=by_name.get("origin_key"),
        value=value or b"",
    )


def is_marker(one: DeadLetter) -> bool:
    return REQUEUED in one.notes


def hindrance(one: DeadLetter) -> str | None:
    """Why it cannot be requeued; None if it can."""
    if one.topic not in RAW_TOPICS:
        return "it does not come from a raw topic"
    return next((words for header, words in LOSSES.items() if header in one.notes), None)


def harmless(text: str) -> str:
    """One line: unprintable characters, such as escape sequences and bidirectional overrides, are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def preview(value: bytes, most: int) -> str:
    """At most `most` characters, JSON over several lines, with the number of characters left out."""
    parsed = read_json(value)
    text = value.decode(errors="backslashreplace")
    if isinstance(parsed, Parsed):
        text = json.dumps(parsed.value, indent=2, ensure_ascii=False)
    lines = "\n".join(map(harmless, text[:most].split("\n")))
    return f"{lines}\n... {len(text) - most} more characters" if len(text) > most else lines


# An event of an unknown type is validated by the schema of this one.
ANY_TYPE = "mentoring.relationship.expectations_agreed.v1"
# Invalid members are removed, and the rest is validated again, at most so often.
MAX_ROUNDS = 8
# Paths of the protocol, not of our messages.
PROTOCOL_PATHS = frozenset({"content-type", "ce_data", "ce_datacontenttype", ENCODED})


class StorableEvent(NamedTuple):
    """What may be kept of an event. `is_complete`: only unknown extensions are missing, so that it may be requeued."""

    event: Mapping[str, object]
    is_complete: bool


def storable(raw: object, scope: Scope, pseudonym: Pseudonym) -> StorableEvent:
    """Empty if `raw` is no event at all."""
    nothing = StorableEvent({}, is_complete=False)
    normal = normal_form(raw) if isinstance(raw, dict) else None
    if normal is None or isinstance(normal, Rejected):
        return nothing
    found = sanitize(normal, pseudonym)
    if isinstance(found, Rejected):
        return nothing
    event = dict(found)
    storable = _without_foreign_sources(_prune(event), scope)
    return StorableEvent(storable, is_complete=storable == event)


def without_words(rejected: Rejected) -> Rejected:
    """The rejection as it may be stored: known paths, and reasons that do not quote the sender."""
    return Rejected(
        rejected.reason, tuple(Problem(_stored_path(one.path), one.stored or one.reason) for one in rejected.errors)
    )


def _stored_path(path: str) -> str:
    if path in PROTOCOL_PATHS or not path:
        return path
    return f"ce_{UNKNOWN}" if path.startswith("ce_") else safe_path(path.split("."))


def _prune(event: Mapping[str, object]) -> dict[str, object]:
    """The event without its invalid members."""
    event_type = event.get("type")
    storable: dict[str, Any] = json.loads(json.dumps(event))
    if event_type not in EVENT_TYPES:
        # Without a known type there is no schema for data.
        storable = {name: value for name, value in storable.items() if name != "data"} | {"type": ANY_TYPE}
    for _ in range(MAX_ROUNDS):
        invalid = _invalid_paths(storable)
        if not invalid:
            return (
                storable if event_type in EVENT_TYPES else {name: v for name, v in storable.items() if name != "type"}
            )
        for path in invalid:
            _remove(storable, path)
    return {}


def _invalid_paths(event: Mapping[str, object]) -> list[tuple[int | str, ...]]:
    """The paths of invalid members, longest first, so that removing one moves no other."""
    try:
        MENTORING_EVENT.validate_json(json.dumps(event))
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=False, include_input=False)
        return sorted((e["loc"][1:] for e in errors if e["type"] != "missing"), key=len, reverse=True)
    return []


def _remove(event: dict[str, Any], path: tuple[int | str, ...]) -> None:
    """Removes the complete list if one of its entries is invalid."""
    at: Any = event
    for step in path[:-1]:
        following = at.get(step) if isinstance(at, dict) else None
        if not isinstance(following, dict):
            if isinstance(at, dict):
                at.pop(step, None)
            return
        at = following
    if path and isinstance(at, dict):
        at.pop(path[-1], None)
    else:
        event.clear()


def _without_foreign_sources(event: dict[str, Any], scope: Scope) -> dict[str, object]:
    """A source may be any ASCII text: only those of the sender's scope are kept. The partition key is kept if it
    matches tenant and subject."""
    storable = dict(event)
    if storable.get("partitionkey") != partition_key(
        str(storable.get("tenant", scope.tenant)), str(storable.get("subject"))
    ):
        storable.pop("partitionkey", None)
    if storable.get("source") not in scope.sources:
        storable.pop("source", None)
    data = storable.get("data")
    if isinstance(data, dict) and "source" in data and data["source"] not in scope.sources:
        storable["data"] = {name: value for name, value in data.items() if name != "source"}
    return storable
