"""Identity and content of an event, as deduplication compares them."""

from datetime import UTC, datetime

from schemas.events import MENTORING_EVENT, MentoringEvent
from services.ingest.flow.event_writer import prepare

EVENT = MENTORING_EVENT.validate_json(
    """{"source": "urn:chat", "id": "m-1", "type": "mentoring.message.sent.v1", "time": "2026-03-01T12:00:00+02:00",
    "recordedtime": "2026-03-02T00:00:00Z", "tenant": "acme", "subject": "r", "program": "p", "partitionkey": "acme/r",
    "data": {"by": "mentor", "channel": "slack"}}"""
)


def changed(**attributes: object) -> MentoringEvent:
    return EVENT.model_copy(update=attributes)


def test_tenant_source_and_id_make_an_event() -> None:
    assert prepare(EVENT).identity == prepare(changed(subject="other")).identity
    assert (
        len({prepare(EVENT).identity, *(prepare(changed(**{n: "x"})).identity for n in ("tenant", "source", "id"))})
        == 4
    )


def test_content_is_everything_but_recordedtime() -> None:
    assert prepare(EVENT).content == prepare(changed(recordedtime=datetime(2026, 4, 1, tzinfo=UTC))).content
    assert prepare(EVENT).content != prepare(changed(program="other")).content


def test_the_same_instant_in_another_zone_is_the_same_content() -> None:
    assert prepare(EVENT).content == prepare(changed(time=datetime(2026, 3, 1, 10, tzinfo=UTC))).content
