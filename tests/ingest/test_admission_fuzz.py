"""Admission of arbitrary JSON: every value is admitted or rejected with a reason; nothing raises."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.events import EVENT_TYPES, MENTORING_EVENT, to_json
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.cloudevents import Parsed, read_json
from services.ingest.domain.scope import Scope
from services.ingest.domain.verdict import Admitted, Rejected

CLOCK = Clock(datetime(2026, 3, 2, tzinfo=UTC), "log")
SCOPE = Scope("acme", frozenset({"urn:a"}), admin=True)

times = st.sampled_from(["2026-03-01T10:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1e5"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | times
anything = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
names = st.sampled_from(
    [
        *("session_id", "started_at", "minutes", "by", "channel", "rating", "source", "id", "type", "time", "goal_id"),
        *("mentors", "mentees", "planned", "reason_code", "initiated_by", "request_id", "priority", "topic", "from"),
    ]
)
known = st.sampled_from(["mentor", "good", 3, "normal", True, "urn:a", ["m-1"]]) | times
attributes = st.fixed_dictionaries(
    {
        "source": st.just("urn:a"),
        "id": st.text(min_size=1, max_size=8),
        "type": st.sampled_from(EVENT_TYPES),
        "time": times,
        "subject": st.just("rel-1"),
        "program": st.just("p"),
        "data": st.dictionaries(names, known | anything, max_size=5),
    },
    optional=dict.fromkeys(("tenant", "partitionkey", "recordedtime", "dataschema", "correlationid"), anything),
)


@given(attributes | anything)
def test_every_event_gets_a_verdict_and_an_admitted_one_can_be_read_again(raw: Any) -> None:  # noqa: ANN401
    match admit(raw, SCOPE, CLOCK):
        case Admitted(event):
            assert MENTORING_EVENT.validate_json(to_json(event)) == event
        case Rejected(_, errors):
            assert all(error.reason for error in errors)
            assert errors


@given(st.binary() | anything.map(lambda value: json.dumps(value).encode()))
def test_every_text_is_read_or_refused(raw: bytes) -> None:
    assert isinstance(read_json(raw), Parsed | Rejected)
