"""Arbitrary tables: every line is reported, none raises, and only complete JSON is sent."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.admission import Clock
from services.ingest.domain.cloudevents import Parsed, read_json
from services.ingest.importing.dry_run import DryRunRecipient
from services.ingest.importing.kinds import KINDS
from services.ingest.importing.row import RowContext, RowDefaults
from services.ingest.importing.sender import EVENTS_ENDPOINT, PARTICIPANTS_ENDPOINT
from services.ingest.importing.table import Header, row_converter
from services.ingest.sources.tables import Line, Rows

NASTY = (
    *("", "held", "missed", "cancelled", "scheduled", "set", "progressed", "yes", "no", "rel-1", "p-1|p-2", "tool:id"),
    *("2026-03-02T10:00:00Z", "2026-03-02", "2026-03-29 02:30", "9999-12-31T23:59:59Z", "0001-01-01", "1971-01-01"),
    *("-1", "1e400", "NaN", "9" * 400, "0.1", "\x00", "\ud83d\ude00", "Europe/Berlin", "../../etc/passwd", "localtime"),
)
CELLS = st.one_of(st.sampled_from(NASTY), st.text(max_size=30))
ZONES = st.sampled_from(("", "Europe/Berlin", "Asia/Kathmandu", "nowhere", "\x00"))


@given(st.sampled_from(sorted(KINDS)), st.data(), ZONES)
def test_no_row_raises_and_each_is_reported(kind: str, data: st.DataObject, zone: str) -> None:
    header = Header(KINDS[kind], tuple(sorted(KINDS[kind].columns)), ",")
    cells = [data.draw(CELLS).replace('"', '""') for _ in header.columns]
    text = ",".join(f'"{cell}"' for cell in cells).encode(errors="surrogatepass")

    entry = row_converter(header, RowContext(RowDefaults("urn:csv", "spruce", zone)))(Line(2, text))

    assert bool(entry.messages) != bool(entry.refusal)
    assert all(isinstance(read_json(message), Parsed) for message in entry.messages)


@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=60))
def test_no_line_is_lost(texts: list[bytes]) -> None:
    header = Header(KINDS["directory"], ("participant", "name", "consent"), ",")
    lines = [Line(number, text) for number, text in enumerate(texts, 2)]

    rows = list(Rows(iter(lines), header.fits))

    assert [line for row in rows for line in row.text.split(b"\n") if line.strip()] == [t for t in texts if t.strip()]


NAMES = st.sampled_from(("source", "type", "data", "tenant", "id", "time", "name", "consent", "addresses", "subject"))
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=9), st.sampled_from(NASTY))
ANYTHING = st.recursive(
    VALUES | st.just("mentoring.event.retracted.v1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=8),
)


@given(st.lists(ANYTHING, max_size=5))
def test_a_dry_run_answers_any_message(values: list[object]) -> None:
    messages = [json.dumps(value).encode() for value in values]
    recipient = DryRunRecipient(lambda: Clock(datetime(2026, 6, 1, tzinfo=UTC)))

    for endpoint in (EVENTS_ENDPOINT, PARTICIPANTS_ENDPOINT):
        assert len(recipient.send(messages, endpoint)) == len(messages)
