"""Records in quarantine, as their headers tell of them, and which of them may be sent again."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from schemas.events import EVENT_TYPES, MENTORING_EVENT, partition_key
from schemas.field_names import UNKNOWN, safe_path
from schemas.topics import RAW_CLOUDEVENTS, RAW_TOOLS
from services.ingest.domain.admission import screened
from services.ingest.domain.cloudevents import ENCODED, Parsed, normal_form, read_json
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Problem, Rejected

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
    text = value.decode(errors="backslashreplace")
    if isinstance(parsed, Parsed):
        text = json.dumps(parsed.value, indent=2, ensure_ascii=False)
    lines = "\n".join(map(harmless, text[:most].split("\n")))
    return f"{lines}\n... {len(text) - most} more characters" if len(text) > most else lines


# By its schema an event without a known type is looked at.
ANY_TYPE = "mentoring.relationship.expectations_agreed.v1"
# A member that is wrong is taken out, and what stands around it is looked at again.
MOST_ROUNDS = 8
# Steps of a path that are of the protocol, not of our messages.
OF_THE_PROTOCOL = frozenset({"content-type", "ce_data", "ce_datacontenttype", ENCODED})


class Leavings(NamedTuple):
    """`whole`: nothing but unknown extensions is missing, so that it may be sent again."""

    event: Mapping[str, object]
    whole: bool


def leavings(raw: object, scope: Scope, pseudonym: Pseudonym) -> Leavings:
    """Empty where `raw` is no event at all."""
    nothing = Leavings({}, whole=False)
    normal = normal_form(raw) if isinstance(raw, dict) else None
    if normal is None or isinstance(normal, Rejected):
        return nothing
    found = screened(normal, pseudonym)
    if isinstance(found, Rejected):
        return nothing
    given = dict(found)
    kept = _without_strangers(_pruned(given), scope)
    return Leavings(kept, whole=kept == given)


def without_words(rejected: Rejected) -> Rejected:
    """What is written down of a rejection: places that are ours, and reasons without a word of the sender's."""
    return Rejected(
        rejected.reason, tuple(Problem(_stored_path(one.path), one.stored or one.reason) for one in rejected.errors)
    )


def _stored_path(path: str) -> str:
    if path in OF_THE_PROTOCOL or not path:
        return path
    return f"ce_{UNKNOWN}" if path.startswith("ce_") else safe_path(path.split("."))


def _pruned(given: Mapping[str, object]) -> dict[str, object]:
    named = given.get("type")
    kept: dict[str, Any] = json.loads(json.dumps(given))
    if named not in EVENT_TYPES:
        # Of what is of no type nothing says which data it may have.
        kept = {name: value for name, value in kept.items() if name != "data"} | {"type": ANY_TYPE}
    for _ in range(MOST_ROUNDS):
        wrong = _wrong(kept)
        if not wrong:
            return kept if named in EVENT_TYPES else {name: v for name, v in kept.items() if name != "type"}
        for path in wrong:
            _take_out(kept, path)
    return {}


def _wrong(event: Mapping[str, object]) -> list[tuple[int | str, ...]]:
    """The paths of what is there and should not be so. Longest first, so that taking out moves no other."""
    try:
        MENTORING_EVENT.validate_json(json.dumps(event))
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=False, include_input=False)
        return sorted((e["loc"][1:] for e in errors if e["type"] != "missing"), key=len, reverse=True)
    return []


def _take_out(event: dict[str, Any], path: tuple[int | str, ...]) -> None:
    """The whole list where one of its entries is wrong."""
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


def _without_strangers(event: dict[str, Any], scope: Scope) -> dict[str, object]:
    """A source may be any text of ASCII, those of the sender's scope are known; a key follows from its parts."""
    kept = dict(event)
    if kept.get("partitionkey") != partition_key(str(kept.get("tenant", scope.tenant)), str(kept.get("subject"))):
        kept.pop("partitionkey", None)
    if kept.get("source") not in scope.sources:
        kept.pop("source", None)
    data = kept.get("data")
    if isinstance(data, dict) and "source" in data and data["source"] not in scope.sources:
        kept["data"] = {name: value for name, value in data.items() if name != "source"}
    return kept
