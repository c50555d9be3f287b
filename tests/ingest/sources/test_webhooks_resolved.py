"""Webhooks of a tool in sequence, resolved for a pair of the roster."""

import json
from datetime import UTC, datetime
from typing import Any

from schemas.directory import Participant
from schemas.events import MENTORING_EVENT, MentoringEvent
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.tools.resolution import Resolved, resolve
from services.ingest.domain.verdict import Admitted, Ignored, Rejected
from services.ingest.sources.calcom import TOOL as CALCOM
from services.ingest.sources.calendly import TOOL as CALENDLY
from services.ingest.sources.slack import TOOL as SLACK
from services.ingest.sources.tool import Tool, ToolSettings
from services.ingest.sources.zoom.tool import TOOL as ZOOM
from tests.ingest.sources import test_calcom as calcom
from tests.ingest.sources import test_calendly as calendly
from tests.ingest.sources import test_slack as slack
from tests.ingest.sources import zoom_payloads as zoom

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
OPERATOR = {
    "specversion": "1.0",
    "source": "urn:programme",
    "id": "e-1",
    "type": "mentoring.relationship.started.v1",
    "time": "2026-01-01T00:00:00Z",
    "recordedtime": "2026-01-01T00:00:00Z",
    "tenant": "acme",
    "program": "leaders",
    "subject": "rel-1",
    "partitionkey": "acme/rel-1",
    "data": {"mentors": ["p-host"], "mentees": ["p-ada"]},
}


class Account:
    """One connection of one tool, with its projection."""

    def __init__(self, tool: Tool, settings: ToolSettings) -> None:
        self._tool, self._settings = tool, settings
        self._connection_scope = ConnectionScope("acme", "leaders", tool.name, "one")
        self._projection = Projection()
        self._projection.apply(MENTORING_EVENT.validate_json(json.dumps(OPERATOR)))
        for person, slack_id in (("host", "U-bob"), ("ada", "U-ada")):
            self._projection.upsert(participant(person, slack_id))

    def tell(self, value: object) -> list[Any]:
        """The events that come of one payload, as they go to the log."""
        translation = self._tool.translate(value, self._settings)
        if isinstance(translation, Ignored):
            return []
        assert isinstance(translation, tuple), translation
        return [event for activity in translation for event in self._resolved(activity)]

    def _resolved(self, activity: Any) -> list[MentoringEvent]:  # noqa: ANN401
        resolved = resolve(activity, self._connection_scope, self._projection)
        assert not isinstance(resolved, Rejected), resolved
        self._projection.track(activity, self._connection_scope, getattr(resolved, "events", ()))
        events = [self._admitted(raw) for raw in resolved.events] if isinstance(resolved, Resolved) else []
        for event in events:
            self._projection.apply(event)
        return events

    def _admitted(self, raw: Any) -> MentoringEvent:  # noqa: ANN401
        verdict = admit(dict(raw), self._connection_scope.scope, Clock(NOW))
        assert isinstance(verdict, Admitted), verdict
        return verdict.event


def participant(name: str, slack_id: str) -> Participant:
    known = {
        "id": f"p-{name}",
        "tenant": "acme",
        "name": "Somebody",
        "addresses": [f"{name.upper()}@example.com"],
        "identities": [{"tool": "slack", "id": slack_id}],
        "time_zone": "UTC",
        "consent": True,
        "recordedtime": "2026-01-01T00:00:00Z",
    }
    return Participant.model_validate_json(json.dumps(known))


def verbs(events: list[Any]) -> list[str]:
    return [event.type.removeprefix("mentoring.").removesuffix(".v1") for event in events]


def test_what_zoom_books_moves_and_deletes_is_one_session() -> None:
    account = Account(ZOOM, ToolSettings())

    booked = account.tell(zoom.created())
    moved = account.tell(zoom.updated({"id": 93200000000, "start_time": "2026-03-10T10:00:00Z"}))
    dropped = account.tell(zoom.deleted(start_time="2026-03-10T10:00:00Z"))
    kept = {"id": 93200000000, "type": 2, "start_time": "2026-03-10T10:00:00Z", "duration": 45}
    recovered = account.tell(zoom.event("meeting.recovered", kept) | {"event_ts": 1772449201000})

    events = [*booked, *moved, *dropped, *recovered]
    assert verbs(events) == ["session.scheduled", "session.rescheduled", "session.cancelled", "session.scheduled"]
    assert len({event.data.session_id for event in events}) == 1
    assert (moved[0].data.ends_at - moved[0].data.starts_at).total_seconds() == 45 * 60


def test_who_comes_to_what_zoom_booked_is_seen_there_whatever_the_order() -> None:
    account = Account(ZOOM, ToolSettings())
    account.tell(zoom.created(start_time="2026-03-02T10:00:00Z"))
    host = {"email": "host@example.com", "id": "", "participant_user_id": "", "participant_uuid": "h"}

    webhooks = (zoom.left(**host), zoom.joined(), zoom.left(), zoom.joined(**host), zoom.ended(), zoom.ended())

    # A repeat has the same id, and the log holds it once.
    events = list({event.id: event for value in webhooks for event in account.tell(value)}.values())

    assert sorted(verbs(events)) == ["session.joined"] * 2 + ["session.left"] * 2
    assert len({event.data.session_id for event in events}) == 1


def test_one_side_alone_at_what_zoom_booked_is_seen_and_at_what_nobody_booked_is_not() -> None:
    account = Account(ZOOM, ToolSettings())

    unexpected = account.tell(zoom.joined())
    account.tell(zoom.created(start_time="2026-03-03T10:00:00Z"))
    next_day = zoom.joined(join_time="2026-03-03T10:01:00Z")
    next_day["payload"]["object"]["uuid"] = "another-run=="
    expected = account.tell(next_day)

    assert unexpected == []
    assert verbs(expected) == ["session.joined"]


def test_a_reschedule_in_calendly_keeps_the_session_in_either_order() -> None:
    old = calendly.canceled(rescheduled=True, new_invitee=f"{calendly.EVENTS}/EV2/invitees/IN2")
    new = calendly.created(
        uri=f"{calendly.EVENTS}/EV2/invitees/IN2",
        old_invitee=f"{calendly.EVENTS}/EV1/invitees/IN1",
        scheduled_event=calendly.created()["payload"]["scheduled_event"]
        | {"start_time": "2026-03-12T10:00:00Z", "end_time": "2026-03-12T10:30:00Z"},
    )
    for order in ((old, new), (new, old)):
        account = Account(CALENDLY, ToolSettings())
        events = [event for value in (calendly.created(), *order) for event in account.tell(value)]

        assert verbs(events) == ["session.scheduled", "session.rescheduled"]
        assert len({event.data.session_id for event in events}) == 1


def test_a_calendly_no_show_counts_until_it_is_unmarked() -> None:
    account = Account(CALENDLY, ToolSettings())
    (booked,) = account.tell(calendly.created())

    (missed,) = account.tell(calendly.no_show())
    (retracted,) = account.tell(calendly.webhook("invitee_no_show.deleted") | {"created_at": "2026-03-09T12:00:00Z"})

    assert (missed.data.session_id, missed.data.absent) == (booked.data.session_id, "mentee")
    assert (retracted.data.id, retracted.data.slot) == (missed.id, "mentee")


def test_a_booking_in_calcom_is_moved_missed_and_over_by_the_clock() -> None:
    account = Account(CALCOM, ToolSettings())

    booked = account.tell(calcom.created(uid="old-uid"))
    moved = account.tell(calcom.rescheduled(startTime="2026-03-09T10:30:00Z"))
    over = account.tell(calcom.flat_end())
    missed = account.tell(calcom.no_show(calcom.ABSENT))

    assert verbs([*booked, *moved, *missed]) == ["session.scheduled", "session.rescheduled", "session.missed"]
    assert over == []
    assert len({event.data.session_id for event in (*booked, *moved, *missed)}) == 1


def test_messages_in_slack_answer_each_other_and_a_deleted_one_is_retracted() -> None:
    account = Account(SLACK, slack.SETTINGS)

    (head,) = account.tell(slack.message())
    (answer,) = account.tell(slack.message(user="U-bob", ts="1772445700.000300", thread_ts="1772445600.000200"))
    (repeat,) = account.tell(slack.message())
    (retracted,) = account.tell(slack.deleted())

    assert (head.data.by, answer.data.by) == ("mentee", "mentor")
    assert answer.data.reply_to == head.id
    assert repeat == head
    assert (retracted.data.id, retracted.data.slot) == (head.id, "mentee")


def test_nothing_of_people_gets_into_an_event() -> None:
    webhooks = [
        *((ZOOM, ToolSettings(), value) for value in zoom.SAMPLES),
        *((CALENDLY, ToolSettings(), value) for value in calendly.SAMPLES[:3]),
        *((CALCOM, ToolSettings(), value) for value in calcom.SAMPLES[:4]),
        *((SLACK, slack.SETTINGS, value) for value in slack.SAMPLES[:2]),
    ]

    events = [event for tool, settings, value in webhooks for event in Account(tool, settings).tell(value)]

    text = "".join(event.model_dump_json() for event in events)
    assert len(events) > 8
    assert not [word for word in ("@", "Somebody", "rivate", "Mentoring", "U-ada") if word in text]
