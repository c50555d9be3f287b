"""Caliper 1.1: translation of the events of learning systems."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from services.ingest.domain.activity import GenericActivity, Native, Person
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.caliper.model import CaliperSettings
from services.ingest.sources.caliper.tool import TOOL
from services.ingest.sources.tool import RawPayloads, Received, Unverified, Verified
from tests.ingest.sources.mutation import mutated, translated
from tests.ingest.sources.redaction import PSEUDONYM, redacted_by

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
VERSION = "http://purl.imsglobal.org/ctx/caliper/v1p1"
USERS = "https://example.edu/users"
ADA = {"id": f"{USERS}/ada", "type": "Person"}
BOB = {"id": f"{USERS}/bob", "type": "Person"}
MESSAGE = {
    "id": "https://example.edu/forums/2/messages/2",
    "type": "Message",
    "body": "secret words",
    "isPartOf": {"id": "https://example.edu/forums/2", "type": "Forum", "name": "secret title"},
    "replyTo": {"id": "https://example.edu/forums/2/messages/1", "type": "Message", "creators": [BOB]},
}
FIRST = {"id": "https://example.edu/forums/2/messages/1", "type": "Message", "to": [ADA, BOB]}


def event(kind: str, action: str, **changes: object) -> dict[str, Any]:
    return {
        "@context": VERSION,
        "id": "urn:uuid:0d015a85-abf5-49ee-abb1-46dbd57fe64e",
        "type": kind,
        "actor": ADA,
        "action": action,
        "object": MESSAGE,
        "eventTime": "2026-03-01T10:00:00.000Z",
        "edApp": {"id": "https://forums.example.edu", "type": "SoftwareApplication", "version": "v2"},
        "group": "https://example.edu/sections/1",
        "membership": {
            "id": "https://example.edu/rosters/1",
            "type": "Membership",
            "member": ADA,
            "roles": ["Learner"],
        },
    } | changes


def graded(**changes: object) -> dict[str, Any]:
    attempt = {"id": "https://example.edu/attempts/1", "type": "Attempt", "assignee": ADA, "count": 1}
    score = {
        "id": "https://example.edu/scores/1",
        "type": "Score",
        "maxScore": 15.0,
        "scoreGiven": 10.0,
        "comment": "x",
    }
    return event("GradeEvent", "Graded", actor=BOB, object=attempt, generated=score) | changes


def ranked(selection: object, **scale: object) -> dict[str, Any]:
    question = {"id": "urn:q", "type": "RatingScaleQuestion", "scale": {"id": "urn:s", **scale}}
    rating = {"id": "urn:r", "type": "Rating", "rater": ADA, "selections": [selection], "question": question}
    return event("FeedbackEvent", "Ranked", object=BOB, generated=rating)


def envelope(*data: object, **changes: object) -> dict[str, Any]:
    return {
        "sensor": "https://example.edu/sensors/1",
        "sendTime": "2026-03-01T10:05:00.000Z",
        "dataVersion": VERSION,
        "data": list(data),
    } | changes


def configured(**settings: Any) -> CaliperSettings:  # noqa: ANN401
    return CaliperSettings.model_validate(settings)


def activity_of(value: object, **settings: Any) -> GenericActivity:  # noqa: ANN401
    return redacted_activity_of(envelope(value), **settings)


def redacted_activity_of(whole: object, **settings: Any) -> GenericActivity:  # noqa: ANN401
    result = TOOL.translate(whole, configured(**settings))
    assert isinstance(result, tuple), result
    (activity,) = result
    assert isinstance(activity, GenericActivity)
    return activity


def ignored(value: object, **settings: Any) -> str:  # noqa: ANN401
    result = TOOL.translate(envelope(value), configured(**settings))
    assert isinstance(result, Ignored), result
    return result.reason


def fault(value: object, **settings: Any) -> str:  # noqa: ANN401
    result = TOOL.translate(value, configured(**settings))
    assert isinstance(result, Rejected), result
    return result.errors[0].path


def test_a_sensor_with_the_token_is_proven() -> None:
    assert TOOL.verify(Received({"authorization": "Bearer s3cret"}, b""), "s3cret", NOW) == Verified()
    assert TOOL.verify(Received({"authorization": "bearer  s3cret"}, b""), "s3cret", NOW) == Verified()
    for header in ("", "s3cret", "Bearer", "Bearer other", "Basic s3cret"):
        assert isinstance(TOOL.verify(Received({"authorization": header}, b""), "s3cret", NOW), Unverified)
    assert isinstance(TOOL.verify(Received({"authorization": "Bearer "}, b""), "", NOW), Unverified)


def test_a_message_that_is_posted_answers_the_one_before() -> None:
    activity = activity_of(event("MessageEvent", "Posted"))

    assert (activity.type, activity.by, activity.people) == (
        "mentoring.message.sent.v1",
        Person(id=f"{USERS}/ada"),
        (Person(id=f"{USERS}/bob"),),
    )
    assert activity.time == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert activity.native == Native("MessageEvent.Posted", "urn:uuid:0d015a85-abf5-49ee-abb1-46dbd57fe64e")
    first = activity_of(event("MessageEvent", "Posted", object=FIRST), people="object.to")
    assert activity.data == {"channel": "caliper", "reply_to": first.key}
    assert activity.key != first.key


def test_a_grade_is_feedback_on_the_scale_of_its_greatest_score() -> None:
    activity = activity_of(graded())

    assert activity.data == {"about": "relationship", "rating": 10, "scale_min": 0, "scale_max": 15}
    assert (activity.by, activity.people) == (Person(id=f"{USERS}/bob"), (Person(id=f"{USERS}/ada"),))


@pytest.mark.parametrize(
    ("selection", "scale", "data"),
    [
        ("1", {"type": "LikertScale", "itemValues": ["-2", "-1", "1", "2"]}, (1, -2, 2)),
        ("3", {"type": "NumericScale", "minValue": 0.0, "maxValue": 10.0, "step": 0.5}, (3, 0, 10)),
        (4, {"type": "LikertScale", "itemValues": [1, 2, 3, 4, 5]}, (4, 1, 5)),
    ],
)
def test_a_ranking_of_the_feedback_profile_is_feedback(selection: object, scale: Any, data: Any) -> None:  # noqa: ANN401
    activity = activity_of(ranked(selection, **scale))

    assert (activity.data["rating"], activity.data["scale_min"], activity.data["scale_max"]) == data
    assert activity.people == (Person(id=f"{USERS}/bob"),)


def test_without_a_scale_in_the_event_the_settings_define_it() -> None:
    bare = graded(generated={"type": "Score", "scoreGiven": 3})

    assert activity_of(bare, scale={"min": 1, "max": 5}).data["scale_min"] == 1
    assert fault(envelope(bare)) == "data.0.generated.maxScore"
    assert fault(envelope(ranked("3"))) == "data.0.generated.question.scale"


def test_an_iri_may_stand_for_an_entity() -> None:
    score = {"scoreGiven": 10, "maxScore": 15, "attempt": {"assignee": f"{USERS}/ada"}}
    activity = activity_of(graded(actor=f"{USERS}/bob", object="https://example.edu/attempts/1", generated=score))

    assert (activity.by, activity.people) == (Person(id=f"{USERS}/bob"), (Person(id=f"{USERS}/ada"),))
    message = event("MessageEvent", "Posted", object="urn:message:1", to=f"{USERS}/bob")
    assert activity_of(message, people="to").data == {"channel": "caliper"}


def test_terms_may_be_written_as_iris() -> None:
    full = event(
        "http://purl.imsglobal.org/caliper/MessageEvent", "http://purl.imsglobal.org/vocab/caliper/action#Posted"
    )

    assert activity_of(full).type == "mentoring.message.sent.v1"
    assert activity_of(event("caliper:MessageEvent", "Posted")).type == "mentoring.message.sent.v1"


def test_an_event_that_an_application_brought_about_is_nobodys() -> None:
    robot = {"id": "https://example.edu/autograder", "type": "SoftwareApplication"}

    assert ignored(graded(actor=robot)) == "actor_is_no_person"


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("SessionEvent", "LoggedIn"),
        ("SessionEvent", "TimedOut"),
        ("ThreadEvent", "MarkedAsRead"),
        ("ToolUseEvent", "Used"),
        ("NavigationEvent", "NavigatedTo"),
        ("ViewEvent", "Viewed"),
        ("MessageEvent", "MarkedAsRead"),
        ("FeedbackEvent", "Commented"),
    ],
)
def test_actions_that_mean_nothing_to_mentoring_are_ignored(kind: str, action: str) -> None:
    assert ignored(event(kind, action)) == "action_of_no_interest"
    assert ignored(event(kind, action, actor=None, eventTime="?")) == "action_of_no_interest"


POST = {
    "id": "urn:canvas:entry:1",
    "type": "Message",
    "isPartOf": {"id": "urn:canvas:discussion:7", "type": "Thread", "isPartOf": {"id": "urn:forum:1", "type": "Forum"}},
}
COURSE = {"id": "urn:canvas:course:565", "type": "CourseOffering"}


@pytest.mark.parametrize(
    "changes",
    [
        {"object": POST},
        {"object": POST, "group": COURSE},
        {"object": {"id": "urn:m", "type": "Message"}, "group": COURSE},
        {"object": {"id": "urn:m", "isPartOf": "urn:canvas:discussion:7"}, "group": None},
    ],
)
def test_a_post_to_nobody_in_particular_is_no_contact(changes: Any) -> None:  # noqa: ANN401
    value = event("MessageEvent", "Posted", **changes)
    shared = event("AnnotationEvent", "Shared", **changes)

    assert ignored(value) == ignored(shared) == "of_a_course_or_forum"
    for one in (value, shared):
        assert TOOL.translate(redacted_by(TOOL, envelope(one)), configured()) == Ignored("of_a_course_or_forum")


@pytest.mark.parametrize(
    "place", ["urn:canvas:discussion:7", "Thread", "urn:forum:1", "urn:canvas:course:565", "CourseOffering"]
)
def test_settings_may_map_a_thread_a_forum_or_a_course(place: str) -> None:
    meaning = {"type": "mentoring.message.sent.v1", "data": {"channel": "caliper"}, "object": place}
    settings = {"events": {"MessageEvent.Posted": [meaning]}}
    value = event("MessageEvent", "Posted", object=POST, group=COURSE)

    found = redacted_by(TOOL, envelope(value), configured(**settings))

    assert redacted_activity_of(found, **settings) == activity_of(value, **settings)
    elsewhere = event("MessageEvent", "Posted", object={"id": "urn:m", "isPartOf": "urn:canvas:discussion:8"})
    assert ignored(elsewhere, **settings) == "action_of_no_interest"


def test_a_described_entity_is_ignored() -> None:
    assert ignored({"@context": VERSION, "id": f"{USERS}/ada", "type": "Person", "name": "A"}) == "entity"
    assert TOOL.translate(envelope(), configured()) == Ignored("empty")


def test_the_settings_map_actions_to_events() -> None:
    events = {
        "SessionEvent.LoggedOut": [{"type": "mentoring.session.held.v1"}],
        "MessageEvent.Posted": [],
        "ToolUseEvent.Used": [{"object": "Goal", "type": "mentoring.goal.achieved.v1"}],
    }
    session = {
        "id": "https://example.edu/sessions/1",
        "type": "Session",
        "startedAtTime": "2026-03-01T09:00:00.000Z",
        "endedAtTime": "2026-03-01T09:45:00.000Z",
    }

    held = activity_of(event("SessionEvent", "LoggedOut", object=session), events=events)

    assert held.data["started_at"] == "2026-03-01T09:00:00.000000Z"
    assert held.data["minutes"] == 45
    assert len(str(held.data["session_id"])) == 32
    assert ignored(event("MessageEvent", "Posted"), events=events) == "action_of_no_interest"
    used = event("ToolUseEvent", "Used", object={"id": "urn:goal:1", "type": "Goal"})
    assert activity_of(used, events=events).data == {"goal_id": "urn:goal:1"}
    assert ignored(event("ToolUseEvent", "Used", object={"type": "Other"}), events=events) == "action_of_no_interest"


@pytest.mark.parametrize(
    ("duration", "minutes"), [("PT30M", 30), ("PT1H30M", 90), ("PT0S", None), (None, None), ("P1D", 1440)]
)
def test_the_duration_of_a_session_is_read(duration: object, minutes: object) -> None:
    events = {"SessionEvent.LoggedOut": [{"type": "mentoring.session.held.v1"}]}

    activity = activity_of(
        event("SessionEvent", "LoggedOut", object={"id": "urn:s", "duration": duration}), events=events
    )

    assert activity.data.get("minutes") == minutes


@pytest.mark.parametrize("duration", ["P3D", "P1Y", "an hour", 60])
def test_a_session_of_days_is_a_fault(duration: object) -> None:
    events = {"SessionEvent.LoggedOut": [{"type": "mentoring.session.held.v1"}]}
    value = event("SessionEvent", "LoggedOut", object={"id": "urn:s", "duration": duration})

    assert fault(envelope(value), events=events) == "data.0.object.duration"


def test_expressions_find_ids_addresses_people_and_the_relationship() -> None:
    actor = ADA | {"extensions": {"com.example.lms": {"sis": "p-ada", "mail": "ada@example.com"}}}
    value = event("MessageEvent", "Posted", actor=actor, object="urn:m", extensions={"to": [f"{USERS}/bob", BOB]})

    activity = activity_of(
        value,
        participant='extensions."com.example.lms".sis',
        address='extensions."com.example.lms".mail',
        people="extensions.to",
        relationship="group",
    )

    assert activity.by == Person(id=f"{USERS}/ada", address="ada@example.com", participant="p-ada")
    assert activity.people == (Person(id=f"{USERS}/bob"),)
    assert activity.relationship == "https://example.edu/sections/1"


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"people": "object"}, ""),
        ({"people": "eventTime"}, None),
        ({"people": "`[1]`"}, "data.0.settings.people"),
        ({"people": "sum(eventTime)"}, "data.0.settings.people"),
        ({"relationship": "membership"}, "data.0.settings.relationship"),
        ({"participant": "keys(type)"}, "data.0.actor"),
    ],
)
def test_expressions_that_do_not_fit_are_named(settings: Any, path: str | None) -> None:  # noqa: ANN401
    result = TOOL.translate(envelope(event("MessageEvent", "Posted")), configured(**settings))

    assert isinstance(result, Rejected) == bool(path)
    if isinstance(result, Rejected):
        assert result.errors[0].path == path


@pytest.mark.parametrize("iri", ["MAILTO:ada@example.com", "mailto:\u200bada@example.com"])
def test_a_mailto_may_be_written_in_any_case(iri: str) -> None:
    value = event("MessageEvent", "Posted", actor=iri)

    assert (
        activity_of(value).by
        == redacted_activity_of(redacted_by(TOOL, envelope(value))).by
        == Person(address="ada@example.com")
    )


def test_a_mailto_is_an_address() -> None:
    assert activity_of(event("MessageEvent", "Posted", actor="mailto:ada@example.com")).by == Person(
        address="ada@example.com"
    )


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({}, "dataVersion"),
        ([], ""),
        (envelope(dataVersion="http://purl.imsglobal.org/ctx/caliper/v1p0"), "dataVersion"),
        (envelope(data=None), "data"),
        (envelope("x"), "data.0"),
        (envelope({"id": "urn:x"}), "data.0.type"),
        (envelope(event("MessageEvent", "Posted", id=None)), "data.0.id"),
        (envelope(event("MessageEvent", "Posted", actor=None)), "data.0.actor.id"),
        (envelope(event("MessageEvent", "Posted", eventTime="2026-03-01")), "data.0.eventTime"),
        (envelope(graded(), graded(generated=None)), "data.1.generated"),
        (envelope(graded(generated={"scoreGiven": "10", "maxScore": 15})), "data.0.generated.scoreGiven"),
        (envelope(graded(generated={"scoreGiven": 16, "maxScore": 15})), "data.0.generated.scoreGiven"),
        (envelope(graded(generated={"scoreGiven": 0, "maxScore": 0})), "data.0.generated.maxScore"),
        (envelope(ranked("good", itemValues=["1", "2"])), "data.0.generated.selections"),
        (envelope(ranked("nan", itemValues=["1", "2"])), "data.0.generated.selections"),
        (envelope(ranked("1", itemValues=["1"])), "data.0.generated.question.scale"),
    ],
)
def test_a_fault_names_its_path(value: object, path: str) -> None:
    assert fault(value) == path


def test_an_envelope_is_recorded_event_by_event() -> None:
    body = json.dumps(envelope(event("MessageEvent", "Posted"), graded())).encode()

    found = TOOL.split(Received({}, body), configured(), NOW)

    assert isinstance(found, RawPayloads)
    assert [json.loads(payload) for payload in found.payloads] == [
        envelope(event("MessageEvent", "Posted")),
        envelope(graded()),
    ]
    for payload in found.payloads:
        assert TOOL.split(Received({}, payload), configured(), NOW) == RawPayloads((payload,))
    assert isinstance(TOOL.split(Received({}, b"{"), configured(), NOW), Rejected)


def test_what_people_write_is_cut() -> None:
    found = redacted_by(TOOL, envelope(event("MessageEvent", "Posted"), graded()))

    assert "secret" not in json.dumps(found)
    assert TOOL.translate(found, configured()) == TOOL.translate(
        envelope(event("MessageEvent", "Posted"), graded()), configured()
    )


def test_of_extensions_only_what_the_expressions_find_in_them_is_kept() -> None:
    mail = {"com.example.lms": {"sis": "p-ada", "mail": "ada@example.com", "nick": "secret"}}
    value = event(
        "MessageEvent",
        "Posted",
        actor=ADA | {"extensions": mail},
        object="urn:m",
        extensions={"to": [BOB], "x": "secret"},
    )
    settings = {
        "participant": 'extensions."com.example.lms".sis',
        "address": 'extensions."com.example.lms".mail',
        "people": "extensions.to",
        "relationship": "join(' ', [to_string(extensions.x), 'words'])",
    }

    found = redacted_by(TOOL, envelope(value), configured(**settings))

    assert "secret" not in json.dumps(found)
    activity, plain = redacted_activity_of(found, **settings), activity_of(value, **settings)
    assert (activity.by, activity.people) == (plain.by, plain.people)
    assert activity.relationship == PSEUDONYM("secret words")
    assert redacted_by(TOOL, found, configured(**settings)) == found


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"people": "`[1]`"}, "data.0.settings.people"),
        ({"people": "sum(eventTime)"}, "data.0.settings.people"),
        ({"relationship": "membership"}, "data.0.settings.relationship"),
        ({"participant": "keys(type)"}, "data.0.actor"),
    ],
)
def test_an_expression_that_does_not_fit_is_named_after_the_cut_too(settings: Any, path: str) -> None:  # noqa: ANN401
    found = redacted_by(TOOL, envelope(event("MessageEvent", "Posted")), configured(**settings))

    assert fault(found, **settings) == path


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (event("SearchEvent", "Searched", object={"name": "secret"}), {"type": "Event", "action": "cut", "object": {}}),
        (event("MessageEvent", "MarkedAsRead"), {"type": "MessageEvent", "action": "cut", "object": {}}),
        ({"id": f"{USERS}/ada", "type": "Person", "name": "secret"}, {"type": "cut"}),
    ],
)
def test_of_what_means_nothing_here_only_that_it_came_is_kept(value: object, kept: object) -> None:
    assert redacted_by(TOOL, envelope(value))["data"] == [kept]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"events": {"Posted": []}}, "should match pattern"),
        ({"events": {"A.B": [{"type": "message"}]}}, "no type"),
        ({"events": {"A.B": [{"type": "mentoring.message.sent.v1"}]}}, "data.channel is required"),
        ({"people": "a["}, "no JMESPath expression"),
        ({"people": "nobody(a)"}, "no function nobody"),
        ({"people": "length(a, b)"}, "takes 1 argument"),
        ({"people": 3}, "must be a JMESPath expression"),
    ],
)
def test_settings_are_checked_before_anything_comes(settings: Any, words: str) -> None:  # noqa: ANN401
    with pytest.raises(ValidationError, match=words):
        configured(**settings)


SAMPLES = (
    envelope(event("MessageEvent", "Posted"), graded()),
    envelope(ranked("1", itemValues=["1", "2"]), ranked("3", minValue=0, maxValue=10)),
    envelope(event("SessionEvent", "LoggedOut", object={"id": "urn:s", "duration": "PT1H", "startedAtTime": None})),
)


@given(mutated(SAMPLES))
def test_whatever_comes_gets_a_verdict(value: Any) -> None:  # noqa: ANN401
    given = configured(
        events={"SessionEvent.LoggedOut": [{"type": "mentoring.session.held.v1"}]},
        people="membership.member",
        relationship="group",
        address="actor.name",
    )
    translated(TOOL, value, given)
    found = TOOL.split(Received({}, json.dumps(value).encode()), given, NOW)
    for payload in found.payloads if isinstance(found, RawPayloads) else ():
        assert TOOL.split(Received({}, payload), given, NOW) == RawPayloads((payload,))
