"""Forms, learning records, HR feeds and in-house payloads, resolved for a pair of the roster."""

import json
from datetime import UTC, datetime
from typing import Any

from schemas.directory import Participant
from schemas.events import MENTORING_EVENT, MentoringEvent
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.cloudevents import Parsed
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.tools.resolution import Resolved, resolve
from services.ingest.domain.verdict import Admitted, Rejected
from services.ingest.sources.caliper.tool import TOOL as CALIPER
from services.ingest.sources.hr.tool import TOOL as HR
from services.ingest.sources.mapping.tool import TOOL as MAPPING
from services.ingest.sources.tool import RawPayloads, Received, Tool
from services.ingest.sources.typeform.tool import TOOL as TYPEFORM
from services.ingest.sources.xapi.tool import TOOL as XAPI
from tests.ingest.sources import test_caliper as caliper
from tests.ingest.sources import test_mapping as mapping
from tests.ingest.sources import test_typeform as typeform
from tests.ingest.sources import test_xapi as xapi

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
STARTED = {
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
    "data": {"mentors": ["p-bob"], "mentees": ["p-ada"]},
}


class Account:
    """One connection of one tool, with its projection."""

    def __init__(self, tool: Tool, **settings: Any) -> None:  # noqa: ANN401
        self._tool, self._settings = tool, tool.settings.model_validate(settings)
        self._connection_scope = ConnectionScope("acme", "leaders", tool.name, "one")
        self._projection = Projection()
        self._projection.apply(MENTORING_EVENT.validate_json(json.dumps(STARTED)))
        for name in ("ada", "bob"):
            self._projection.upsert(participant(name))

    def tell(self, body: object, media_type: str = "application/json", now: datetime = NOW) -> list[Any]:
        """The events that come of one request, as they go to the log."""
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        split = self._tool.split(Received({"content-type": media_type}, content), self._settings, now)
        assert isinstance(split, RawPayloads), split
        return [event for payload in split.payloads for event in self._of(payload, split.media_type)]

    def _of(self, payload: bytes, media_type: str) -> list[MentoringEvent]:
        parsed = self._tool.parse(payload, media_type)
        assert isinstance(parsed, Parsed)
        translation = self._tool.translate(parsed.value, self._settings)
        assert isinstance(translation, tuple), translation
        return [event for activity in translation for event in self._resolved(activity)]

    def _resolved(self, activity: Any) -> list[MentoringEvent]:  # noqa: ANN401
        resolved = resolve(activity, self._connection_scope, self._projection)
        assert not isinstance(resolved, Rejected), resolved
        if not isinstance(resolved, Resolved):
            return []
        events = [self._admitted(raw) for raw in resolved.events]
        for event in events:
            self._projection.apply(event)
        for person in resolved.participants:
            self._projection.upsert(person)
        return events

    def _admitted(self, raw: Any) -> MentoringEvent:  # noqa: ANN401
        verdict = admit(dict(raw), self._connection_scope.scope, Clock(NOW))
        assert isinstance(verdict, Admitted), verdict
        return verdict.event


def participant(name: str) -> Participant:
    known = {
        "id": f"p-{name}",
        "tenant": "acme",
        "name": "Somebody",
        "addresses": [f"{name}@example.com"],
        "identities": [
            {"tool": "caliper", "id": f"{caliper.USERS}/{name}"},
            {"tool": "xapi", "id": f"https://lms.example.com#p-{name}"},
        ],
        "time_zone": "UTC",
        "consent": True,
        "recordedtime": "2026-01-01T00:00:00Z",
    }
    return Participant.model_validate_json(json.dumps(known))


def verbs(events: list[Any]) -> list[str]:
    return [event.type.removeprefix("mentoring.").removesuffix(".v1") for event in events]


def test_a_form_becomes_an_event_for_each_answer_of_the_mentee() -> None:
    events = Account(TYPEFORM, **typeform.SETTINGS).tell(typeform.SAMPLES[0])

    assert set(verbs(events)) == {
        *("feedback.given", "fit.rated", "pulse.answered", "goal.progressed", "goal.set", "goal.achieved")
    }
    assert {event.subject for event in events} == {"rel-1"}
    assert {event.data.by for event in events} == {"mentee"}
    assert len({event.id for event in events}) == len(events)


def test_statements_become_events_and_a_voiding_statement_retracts_them() -> None:
    account = Account(XAPI)

    (held,) = account.tell(xapi.statement(actor=xapi.PAIR, result={"duration": "PT45M"}))
    (retracted,) = account.tell(
        xapi.statement("voided", id=xapi.OTHER_ID, object={"objectType": "StatementRef", "id": xapi.ID.upper()})
    )

    assert verbs([held, retracted]) == ["session.held", "event.retracted"]
    assert (retracted.data.id, retracted.data.type) == (held.id, held.type)


def test_a_completion_by_a_group_is_emitted_and_voided_for_both() -> None:
    account = Account(XAPI)

    completed = account.tell(xapi.statement("completed", actor=xapi.PAIR))
    retracted = account.tell(
        xapi.statement("voided", id=xapi.OTHER_ID, object={"objectType": "StatementRef", "id": xapi.ID})
    )

    assert [event.data.by for event in completed] == ["mentee", "mentor"]
    assert {event.data.id for event in retracted} == {event.id for event in completed}


def test_a_message_of_a_forum_answers_the_event_of_the_other() -> None:
    account = Account(CALIPER, people="object.to")
    first = caliper.event("MessageEvent", "Posted", id="urn:uuid:1", actor=caliper.BOB, object=caliper.FIRST)

    asked, answered = account.tell(caliper.envelope(first, caliper.event("MessageEvent", "Posted")))

    assert (asked.data.by, answered.data.by) == ("mentor", "mentee")
    assert answered.data.reply_to == asked.id


def test_leave_return_and_exit_of_an_hr_feed_reach_the_relationship() -> None:
    account = Account(HR)
    header = "id,name,email,status,leave_from,back_on,terminated_on\n"

    def feed(row: str, day: int) -> list[str]:
        return verbs(account.tell(header + row, "text/csv", datetime(2026, 3, day, 3, tzinfo=UTC)))

    assert feed("p-ada,A B,ada@example.com,Active,,,", 1) == []
    assert feed("p-ada,A B,ada@example.com,On Leave,2026-03-02,,", 2) == ["relationship.paused"]
    assert feed("p-ada,A B,ada@example.com,On Leave,2026-03-02,,", 3) == []
    assert feed("p-ada,A B,ada@example.com,Active,,2026-03-10,", 10) == ["relationship.resumed"]
    assert feed("p-ada,A B,ada@example.com,Terminated,,,2026-03-14", 15) == ["relationship.ended"]


def test_an_in_house_tool_reports_and_voids_goals() -> None:
    rules = [
        mapping.rule(type="mentoring.goal.set.v1", relationship=None, by="who"),
        {"name": "undone", "when": "undone", "voids": "one", "id": "uid", "time": "at"},
    ]
    rules[0]["when"] = "goal"
    account = Account(MAPPING, rules=rules)

    (goal,) = account.tell(mapping.achieved(who="ada@example.com"))
    (retracted,) = account.tell({"uid": "u-1", "at": "2026-03-02T10:00:00Z", "undone": True})

    assert (goal.type, goal.subject, goal.data.by) == ("mentoring.goal.set.v1", "rel-1", "mentee")
    assert (retracted.data.id, retracted.data.slot) == (goal.id, "g-1")
