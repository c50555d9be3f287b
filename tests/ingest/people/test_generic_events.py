from datetime import timedelta

import pytest

from services.ingest.domain.activity import Native, Person, Voided
from services.ingest.domain.ids import event_id
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.projection import EmittedEvent, StatementIndex, slot_of
from services.ingest.domain.tools.resolution import Resolved, resolve
from services.ingest.domain.verdict import Ignored, Rejected
from tests.ingest.people.building import (
    ADA,
    BEN,
    CAT,
    NATIVE,
    NOON,
    START,
    STRANGER,
    ZOOM,
    admitted,
    event,
    events,
    known,
    pair,
    participant,
    say,
    told,
)

SLACK = ConnectionScope("acme", None, "slack", "slack_acme")
MESSAGE = {"channel": "slack"}


def test_a_message_belongs_to_the_pair_of_its_author_with_their_role() -> None:
    (one,) = events(known(), told("message.sent", MESSAGE, by=BEN, people=(ADA, STRANGER)), SLACK)

    assert (one.subject, one.data.by, one.data.evidence) == ("rel-1", "mentee", "observed")


def test_the_author_must_be_of_the_pair() -> None:
    assert say(known(), told("message.sent", MESSAGE, by=CAT, people=(ADA, BEN)), SLACK) == Ignored("strangers")
    assert say(known(), told("message.sent", MESSAGE, by=STRANGER, people=(ADA, BEN)), SLACK) == Ignored("strangers")


def test_without_others_it_is_of_the_only_relationship() -> None:
    projection = known()
    assert len(events(projection, told("pulse.answered", {"rating": 4}, by=BEN))) == 1
    assert reason(say(projection, told("pulse.answered", {"rating": 4}, by=CAT))) == "unresolved"
    projection.apply(pair("cat", "ben", subject="rel-2"))

    assert reason(say(projection, told("pulse.answered", {"rating": 4}, by=BEN))) == "unresolved"


def test_a_named_relationship_determines_the_programme() -> None:
    (one,) = events(
        known(), told("goal.set", {"goal_id": "g-1"}, relationship="rel-1", by=ADA, evidence="self_reported")
    )

    assert (one.program, one.data.by, one.data.evidence) == ("leaders", "mentor", "self_reported")


def test_an_actor_who_is_neither_is_kept() -> None:
    (one,) = events(known(), told("goal.set", {"goal_id": "g-1"}, by=BEN, actor="admin"))

    assert (one.subject, one.data.by) == ("rel-1", "admin")


def test_a_coordinator_acts_as_admin_and_other_people_are_rejected() -> None:
    people = {"mentors": ["p-ada"], "mentees": ["p-ben"], "coordinator": "p-cat"}
    coordinated = known(event("relationship.started", people), *map(participant, ("ada", "ben", "cat")))
    said = told("goal.set", {"goal_id": "g-1"}, relationship="rel-1", by=CAT)

    (one,) = events(coordinated, said)

    assert one.data.by == "admin"
    assert reason(say(known(), said)) == "unresolved"


def test_what_is_not_known_yet_is_put_aside() -> None:
    assert reason(say(known(), told("goal.set", {"goal_id": "g"}, relationship="rel-9"))) == "unresolved"
    assert reason(say(known(), told("goal.set", {"goal_id": "g"}, relationship="rel-1", by=STRANGER))) == "unresolved"
    assert reason(say(known(), told("goal.set", {"goal_id": "g"}, people=(ADA, CAT)))) == "unresolved"


def test_a_stranger_named_for_an_admin_does_not_matter() -> None:
    said = told("goal.set", {"goal_id": "g"}, relationship="rel-1", by=STRANGER, actor="admin")

    assert len(events(known(), said)) == 1


def test_a_relationship_may_be_started_by_a_tool_of_a_programme() -> None:
    said = told(
        "relationship.started", {"mentors": ["p-ada"], "mentees": ["p-cat"]}, relationship="rel-7", actor="admin"
    )

    assert reason(say(known(), said)) == "invalid"
    (one,) = events(known(), said, ConnectionScope("acme", "leaders", "mapping", "matches"))
    assert (one.subject, one.program) == ("rel-7", "leaders")


def test_an_erased_relationship_emits_nothing() -> None:
    projection = known()
    projection.apply(event("relationship.erased", {}))
    again = told("relationship.started", {"mentors": ["p-ada"], "mentees": ["p-ben"]}, relationship="rel-1")

    assert say(projection, told("goal.set", {"goal_id": "g"}, relationship="rel-1")) == Ignored("erased")
    assert say(projection, again, ConnectionScope("acme", "leaders", "mapping", "m")) == Ignored("erased")


def test_an_answer_names_the_event_that_its_question_became() -> None:
    projection = known()
    (question,) = events(projection, told("message.sent", MESSAGE, key="m1", by=ADA, people=(BEN,)), SLACK)

    (answer,) = events(
        projection, told("message.sent", MESSAGE | {"reply_to": "m1"}, key="m2", by=BEN, people=(ADA,)), SLACK
    )

    assert answer.type == "mentoring.message.sent.v1"
    assert answer.data.reply_to == question.id == event_id("m1", "rel-1")


def test_an_address_never_gets_into_an_event() -> None:
    said = told("message.sent", MESSAGE, native=Native("message", "abc@google.example"), by=ADA, people=(BEN,))

    (one,) = events(known(), said)

    assert "@" not in one.model_dump_json()


def test_two_possible_authors_are_rejected() -> None:
    projection = known(
        pair(), participant("ada"), participant("ben"), participant("cat", addresses=("ada@example.com",))
    )

    assert reason(say(projection, told("message.sent", MESSAGE, by=ADA, people=(BEN,)))) == "unresolved"
    assert reason(say(projection, told("message.sent", MESSAGE, by=BEN, people=(ADA,)))) == "unresolved"


def test_a_retraction_of_a_tool_has_the_slot() -> None:
    projection = known()
    (message,) = events(projection, told("message.sent", MESSAGE, key="m1", by=BEN, people=(ADA,)), SLACK)

    (one,) = events(projection, Voided("v1", NOON, NATIVE, "m1"), SLACK)

    assert one.type == "mentoring.event.retracted.v1"
    assert (one.data.source, one.data.id, one.data.type) == (SLACK.source, message.id, message.type)
    assert (one.data.time, one.data.slot, one.subject) == (message.time, "mentee", "rel-1")


def test_only_the_same_connection_can_retract() -> None:
    projection = known()
    events(projection, told("message.sent", MESSAGE, key="m1", by=BEN, people=(ADA,)), SLACK)
    other = ConnectionScope("acme", None, "slack", "slack_other")

    assert reason(say(projection, Voided("v1", NOON, NATIVE, "m1"), other)) == "unresolved"
    assert reason(say(projection, Voided("v1", NOON, NATIVE, "m9"), SLACK)) == "unresolved"


def test_a_message_of_a_former_member_that_is_not_found_may_be_found_later() -> None:
    """Only the warehouse has it. What a coordinator had written was ignored."""
    projection = known(pair(), participant("ada"), participant("ben"), participant("cat"))
    projection.apply(pair("cat", time=NOON))
    late = NOON + timedelta(days=1)

    deleted = Voided("v1", late, NATIVE, "old", by=ADA, relationship="rel-1")
    assert reason(say(projection, deleted, SLACK)) == "unresolved"
    projection.apply(pair("ada", subject="rel-2"))
    deleted = Voided("v2", late, NATIVE, "old", by=CAT, relationship="rel-2")
    assert say(projection, deleted, SLACK) == Ignored("not_of_this_conversation")


def test_what_is_forgotten_is_found_in_what_the_warehouse_has() -> None:
    stored = EmittedEvent("rel-1", "leaders", "id-1", "mentoring.goal.set.v1", START, "g-1")

    resolved = resolve(Voided("v1", NOON, NATIVE, "long ago"), ZOOM, known(), (stored,))

    assert isinstance(resolved, Resolved)
    (one,) = [admitted(raw, ZOOM.scope) for raw in resolved.events]
    assert one.type == "mentoring.event.retracted.v1"
    assert (one.data.id, one.data.slot) == ("id-1", "g-1")


def test_what_is_erased_needs_no_retraction() -> None:
    projection = known()
    events(projection, told("message.sent", MESSAGE, key="m1", by=BEN, people=(ADA,)), SLACK)
    projection.apply(event("relationship.erased", {}))

    assert say(projection, Voided("v1", NOON, NATIVE, "m1"), SLACK) == Ignored("erased")


def test_the_memory_is_bounded() -> None:
    memory = StatementIndex(most=1)
    for key in ("a", "b"):
        memory.apply(event("message.sent", {"by": "mentor", **MESSAGE}, source=SLACK.source, id=event_id(key, "rel-1")))

    assert [len(memory.find("acme", SLACK.source, event_id(key).partition(".")[0])) for key in ("a", "b")] == [0, 1]


def reason(found: object) -> str:
    assert isinstance(found, Rejected), found
    return found.reason


def test_a_person_may_be_named_by_the_id_of_the_directory() -> None:
    said = told("goal.set", {"goal_id": "g"}, by=Person(participant="p-ada"), people=(Person(participant="p-ben"),))

    assert len(events(known(), said)) == 1


def test_a_group_of_strangers_around_somebody_of_ours_is_none_of_our_business() -> None:
    said = told("message.sent", MESSAGE, by=ADA, people=(STRANGER,))

    assert say(known(), said, SLACK) == Ignored("strangers")


def test_an_event_without_an_author_is_by_the_system() -> None:
    (one,) = events(known(), told("goal.set", {"goal_id": "g"}, people=(ADA, BEN)))

    assert one.data.by == "system"


@pytest.mark.parametrize(
    ("kind", "data", "slot"),
    [
        ("milestone.celebrated", {"by": "mentor"}, "mentor"),
        ("milestone.celebrated", {"by": "system"}, "both"),
        ("session.missed", {"session_id": "s", "absent": "both"}, "both"),
        ("session.cancelled", {"session_id": "s", "notice_hours": 3}, "late"),
        ("session.cancelled", {"session_id": "s", "notice_hours": 30}, ""),
        ("session.cancelled", {"session_id": "s"}, ""),
        ("goal.progressed", {"goal_id": "g-1", "percent": 5}, "g-1"),
        ("session.held", {"session_id": "s", "started_at": NOON}, ""),
    ],
)
def test_the_slot_of_a_retraction_is_that_of_scoring(kind: str, data: dict[str, object], slot: str) -> None:
    assert slot_of(event(kind, data).data) == slot
