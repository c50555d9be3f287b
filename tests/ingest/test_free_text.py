"""Free text in any field of a tool is on no topic, in no reason and in no line of the logs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.tools.statements import OpenedPayload, open_payloads
from services.ingest.flow.tools.tool_records import part_of, strip_text
from services.ingest.sources.registry import TOOLS
from services.ingest.sources.tool import Connection, ToolSettings
from services.runtime.kafka import Record
from tests.ingest.conftest import DIGEST_KEY
from tests.ingest.marking import MARKER, at_once, in_turn, is_marked
from tests.ingest.sources.examples import HR_NAMES, examples
from tests.ingest.sources.redaction import redacted_by
from tests.ingest.test_fuzz import SAMPLES
from tests.ingest.vendor_examples import calcom, calendly, google_calendar, microsoft_graph, zoom

FULL: dict[str, Sequence[Any]] = {
    "zoom": zoom.EXAMPLES,
    "google_calendar": google_calendar.EXAMPLES,
    "microsoft_graph": microsoft_graph.EXAMPLES,
    "calendly": calendly.EXAMPLES,
    "calcom": calcom.EXAMPLES,
}
"""All that the vendor documents; what our translators need is in SAMPLES."""
MEETINGS = frozenset(FULL)
SETTINGS: dict[str, ToolSettings] = {tool: SAMPLES[tool][1] for tool in FULL}
"""Of the connections by which the examples come."""
for _example in examples():
    FULL[_example.tool.name] = (*FULL.get(_example.tool.name, ()), *_example.payloads())
    SETTINGS[_example.tool.name] = _example.settings
SPARED: Mapping[str, frozenset[str]] = {"hr": HR_NAMES}
"""What people wrote and belongs into the directory: how they are called."""
EXAMPLES = [(tool, value) for tool in TOOLS for value in (*FULL[tool], *SAMPLES[tool][0])]

OURS = [(tool, value) for tool, value in EXAMPLES if tool in MEETINGS]
"""The others are compared in sources/test_examples.py."""


def name_of(tool: str, value: object) -> str:
    names = ("event", "triggerEvent", "type", "kind", "id")
    found = next((value[name] for name in names if name in value), "") if isinstance(value, dict) else ""
    return f"{tool}-{found if isinstance(found, str) else ''}"


def connection_of(tool: str) -> Connection:
    return Connection(
        ConnectionScope("acme", None, tool, "one"), TOOLS[tool], SETTINGS[tool], "a secret", digest_key=DIGEST_KEY
    )


def record_of(tool: str, body: bytes) -> Record:
    headers = [("connection", b"one"), ("content-type", b"application/json"), ("note", MARKER.encode())]
    return Record(f"mentoring.raw.{tool}", 0, 1, MARKER.encode(), body, headers, 1_774_000_000_000)


def stored(connection: Connection, value: object) -> Iterator[tuple[str, bytes]]:
    """Yield everything that is stored, quoted or logged of a record, each with its kind."""
    record = record_of(connection.tool.name, json.dumps(value).encode())
    known = {"one": connection}
    aside = strip_text(record, known)
    yield "headers", repr((aside.key, aside.headers)).encode()
    payloads = open_payloads(record, known)
    yield "quarantined record", repr(part_of(record, known)).encode()
    if isinstance(payloads, Rejected):
        yield "reason", repr(payloads).encode()
        return
    for payload in payloads:
        yield from _of_payload(record, known, payload)


def _of_payload(record: Record, known: dict[str, Connection], payload: OpenedPayload) -> Iterator[tuple[str, bytes]]:
    yield "kept", b"" if isinstance(payload.kept, Rejected) else payload.kept.payload
    yield "said", repr(payload.translate()).encode()
    yield "quarantined payload", repr(part_of(record, known, payload)).encode()


@pytest.mark.parametrize(("tool", "value"), EXAMPLES, ids=[name_of(*one) for one in EXAMPLES])
def test_free_text_in_any_string_is_neither_stored_nor_quoted(tool: str, value: object) -> None:
    connection, spared = connection_of(tool), SPARED.get(tool, frozenset())

    for path, written in (*in_turn(value, spared), *at_once(value, spared)):
        for what, content in stored(connection, written):
            assert not is_marked(content), (what, path)


@pytest.mark.parametrize(("tool", "value"), OURS, ids=[name_of(*one) for one in OURS])
def test_what_is_kept_says_what_all_of_it_said_and_is_kept_again_as_it_is(tool: str, value: object) -> None:
    connection = connection_of(tool)

    found = redacted_by(connection.tool, value, connection.settings)

    assert redacted_by(connection.tool, found, connection.settings) == found
    translate = connection.tool.translate
    if "<" not in json.dumps(value):  # Of `Name <address>` the address is kept, and the name was never an address.
        assert translate(found, connection.settings) == translate(value, connection.settings)
