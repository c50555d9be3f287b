"""xAPI 1.0.3: translation of statements of learning systems."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from services.ingest.domain.activity import GenericActivity, Native, Person, Voided
from services.ingest.domain.cloudevents import Parsed
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.xapi.model import XapiSettings
from services.ingest.sources.xapi.tool import TOOL
from tests.ingest.sources.mutation import mutated, translated
from tests.ingest.sources.redaction import redacted_by

ID = "6690e6c9-3ef0-4ed3-8b37-7f3964730bee"
OTHER_ID = "9d2b0d1a-6a4b-4a53-9b0c-0c2ea8a1b111"
ADL = "http://adlnet.gov/expapi/verbs/"
AT = datetime(2026, 3, 1, 10, tzinfo=UTC)
ADA = {"objectType": "Agent", "name": "A", "mbox": "mailto:ada@example.com"}
BOB = {"account": {"homePage": "https://lms.example.com", "name": "p-bob"}}
SESSION = {
    "id": "https://lms.example.com/activities/mentoring",
    "objectType": "Activity",
    "definition": {"name": {"en-US": "Mentoring"}, "type": "http://id.tincanapi.com/activitytype/tutor-session"},
}
PAIR = {"objectType": "Group", "name": "The pair", "member": [ADA, BOB]}


def statement(verb: str = "attended", **changes: object) -> dict[str, Any]:
    return {
        "id": ID,
        "actor": ADA,
        "verb": {"id": verb if ":" in verb else f"{ADL}{verb}", "display": {"en-US": verb}},
        "object": SESSION,
        "timestamp": "2026-03-01T10:00:00Z",
        "stored": "2026-03-01T10:05:00Z",
        "authority": {"account": {"homePage": "https://lms.example.com", "name": "system"}},
        "version": "1.0.3",
    } | changes


def configured(**settings: Any) -> XapiSettings:  # noqa: ANN401
    return XapiSettings.model_validate(settings)


def activity_of(value: object, **settings: Any) -> GenericActivity:  # noqa: ANN401
    result = TOOL.translate(value, configured(**settings))
    assert isinstance(result, tuple), result
    (activity,) = result
    assert isinstance(activity, GenericActivity)
    return activity


def fault(value: object, **settings: Any) -> tuple[str, str]:  # noqa: ANN401
    result = TOOL.translate(value, configured(**settings))
    assert isinstance(result, Rejected), result
    return result.errors[0].path, result.errors[0].reason


def test_a_group_that_attended_held_a_session_together() -> None:
    activity = activity_of(statement(actor=PAIR, result={"duration": "PT45M"}))

    assert activity.type == "mentoring.session.held.v1"
    assert (activity.by, activity.people) == (
        None,
        (Person(address="ada@example.com"), Person(id="https://lms.example.com#p-bob")),
    )
    assert activity.data["started_at"] == "2026-03-01T09:15:00.000000Z"
    assert activity.data["minutes"] == 45
    assert (activity.key, activity.time, activity.native) == (ID, AT, Native(f"{ADL}attended", ID))


def test_an_identified_group_is_its_members_and_not_itself() -> None:
    named = PAIR | {"mbox": "mailto:group@example.com"}

    assert Person(address="group@example.com") not in activity_of(statement(actor=named)).people
    assert len(activity_of(statement(actor=named)).people) == 2


@pytest.mark.parametrize(
    "actor",
    [{"objectType": "Group", "mbox": "mailto:group@example.com"}, {"objectType": "Group", "member": []}],
)
def test_a_group_without_members_names_nobody(actor: Any) -> None:  # noqa: ANN401
    assert TOOL.translate(statement(actor=actor), configured()) == Ignored("group_without_members")


@pytest.mark.parametrize(
    ("identity", "person"),
    [
        ({"mbox": "mailto:ada@example.com"}, Person(address="ada@example.com")),
        ({"mbox": "mailto:ada%2Bx@example.com?subject=x"}, Person(address="ada+x@example.com")),
        ({"mbox": "ada@example.com"}, Person(address="ada@example.com")),
        ({"mbox_sha1sum": "A" * 40}, Person(id="a" * 40)),
        ({"openid": "https://id.example.com/ada"}, Person(id="https://id.example.com/ada")),
        (
            {"account": {"homePage": "https://lms.example.com", "name": "ada@example.com"}},
            Person(id="https://lms.example.com#ada@example.com", address="ada@example.com"),
        ),
        ({"account": {"homePage": "https://people.example.com/", "name": "p-ada"}}, Person(participant="p-ada")),
        ({"account": {"homePage": "https://lms.example.com", "name": 42}}, Person(id="https://lms.example.com#42")),
    ],
)
def test_an_agent_is_known_by_each_of_the_four_identifiers(identity: Any, person: Person) -> None:  # noqa: ANN401
    assert activity_of(statement(actor=identity), directory_home="https://people.example.com").by == person


def test_instructor_and_team_and_an_agent_as_object_take_part() -> None:
    context = {"instructor": BOB, "team": {"objectType": "Group", "member": [{"mbox": "mailto:cy@example.com"}, ADA]}}

    assert activity_of(statement(context=context)).people == (
        Person(id="https://lms.example.com#p-bob"),
        Person(address="cy@example.com"),
    )
    mentored = statement("http://id.tincanapi.com/verb/mentored", object={"objectType": "Agent", **BOB})
    assert activity_of(mentored).people == (Person(id="https://lms.example.com#p-bob"),)
    assert activity_of(mentored).data["session_id"] != activity_of(mentored | {"id": OTHER_ID}).data["session_id"]


def test_attendance_of_both_sides_on_one_day_is_one_session() -> None:
    one, other = statement(), statement(id=OTHER_ID, actor=BOB)

    assert activity_of(one).data["session_id"] == activity_of(other).data["session_id"]
    next_day = statement(timestamp="2026-03-02T10:00:00Z")
    assert activity_of(next_day).data["session_id"] != activity_of(one).data["session_id"]


@pytest.mark.parametrize(
    ("duration", "minutes"),
    [
        ("PT45M", 45),
        ("PT1H30M", 90),
        ("PT90M", 90),
        ("PT1.5H", 90),
        ("PT1,5H", 90),
        ("PT5400S", 90),
        ("PT0.5M", 0.5),
        ("P0DT1H", 60),
        ("P0Y0M0DT0H30M0.00S", 30),
        ("P0W1DT0H", 1440),
        ("P1D", 1440),
    ],
)
def test_durations_are_iso_8601(duration: str, minutes: float) -> None:
    assert activity_of(statement(result={"duration": duration})).data["minutes"] == minutes


@pytest.mark.parametrize("duration", ["P1Y", "P1M", "P1W", "P2D", "P99999D"])
def test_a_duration_that_no_session_has_is_a_fault(duration: str) -> None:
    path, reason = fault(statement(result={"duration": duration}))

    assert path == "result.duration"
    assert "at most 24 hours" in reason


@pytest.mark.parametrize(
    "duration", ["45 minutes", "-PT30M", "P", "PT", 45, "01:30:00", "PT1H30", "P" + "9" * 50 + "Y"]
)
def test_what_is_no_duration_is_a_fault(duration: object) -> None:
    assert fault(statement(result={"duration": duration}))[0] == "result.duration"


def test_a_session_without_a_duration_has_no_minutes() -> None:
    assert "minutes" not in activity_of(statement()).data
    assert "minutes" not in activity_of(statement(result={"duration": "PT0S"})).data
    begun = activity_of(statement(result={"duration": "PT1H"}), timestamp="start")
    assert begun.data["started_at"] == "2026-03-01T10:00:00.000000Z"


@pytest.mark.parametrize(
    ("score", "settings", "data"),
    [
        ({"raw": 4, "min": 1, "max": 5}, {}, (4, 1, 5)),
        ({"raw": 4, "min": 1, "max": 5, "scaled": 0.5}, {}, (4, 1, 5)),
        ({"scaled": 0.8}, {}, (0.8, -1, 1)),
        ({"scaled": 0.8, "raw": 80}, {}, (0.8, -1, 1)),
        ({"scaled": 0.8}, {"scaled_from": 0}, (0.8, 0, 1)),
        ({"raw": 80}, {"scale": {"min": 0, "max": 100}}, (80, 0, 100)),
    ],
)
def test_a_score_is_feedback_on_its_scale(score: Any, settings: Any, data: tuple[float, float, float]) -> None:  # noqa: ANN401
    for verb in ("scored", "http://id.tincanapi.com/verb/rated"):
        activity = activity_of(statement(verb, result={"score": score}), **settings)
        assert activity.type == "mentoring.feedback.given.v1"
        assert (activity.data["rating"], activity.data["scale_min"], activity.data["scale_max"]) == data


@pytest.mark.parametrize(
    ("score", "path"),
    [
        (None, "result.score"),
        ({"raw": 4}, "result.score"),
        ({"raw": 6, "min": 1, "max": 5}, "result.score"),
        ({"raw": 3, "min": 5, "max": 1}, "result.score"),
        ({"raw": "4", "min": 1, "max": 5}, "result.score.raw"),
        ({"scaled": 1.5}, "result.score.scaled"),
        ({"scaled": -2}, "result.score.scaled"),
        ({"raw": 4, "min": -1e300, "max": 5}, "result.score.min"),
    ],
)
def test_a_score_without_a_scale_or_off_it_is_a_fault(score: object, path: str) -> None:
    assert fault(statement("scored", result={"score": score}))[0] == path


def test_progress_on_a_goal_is_a_percentage() -> None:
    extension = {"https://w3id.org/xapi/cmi5/result/extensions/progress": 40}

    activity = activity_of(statement("progressed", result={"extensions": extension}))

    assert activity.type == "mentoring.goal.progressed.v1"
    assert activity.data["percent"] == 40
    assert "/" not in str(activity.data["goal_id"])
    assert activity_of(statement("progressed", result={"score": {"raw": 3, "min": 1, "max": 5}})).data["percent"] == 50


@pytest.mark.parametrize("progress", [101, -1, 10**400, True, "40", None, 0.4, 0.999])
def test_progress_off_its_scale_is_a_fault(progress: object) -> None:
    extension = {"https://w3id.org/xapi/cmi5/result/extensions/progress": progress}

    assert fault(statement("progressed", result={"extensions": extension}))[0].startswith("result.extensions")


def test_a_training_that_was_not_completed_prepares_nobody() -> None:
    activity = activity_of(statement("completed", result={"completion": True}))

    assert (activity.type, activity.data) == ("mentoring.preparation.completed.v1", {"kind": "training"})
    assert TOOL.translate(statement("completed", result={"completion": False}), configured()) == Ignored(
        "not_completed"
    )


def test_an_action_of_a_group_is_emitted_for_each_member_under_one_key() -> None:
    result = TOOL.translate(statement("completed", actor=PAIR), configured())

    assert isinstance(result, tuple)
    activity = [one for one in result if isinstance(one, GenericActivity)]
    assert [one.by for one in activity] == [
        Person(address="ada@example.com"),
        Person(id="https://lms.example.com#p-bob"),
    ]
    assert {one.key for one in activity} == {ID}
    assert len({one.part for one in activity}) == 2


def test_a_comment_on_a_statement_answers_it() -> None:
    reference = {"objectType": "StatementRef", "id": OTHER_ID.upper()}

    activity = activity_of(statement("commented", object=reference, context={"instructor": BOB}))

    assert (activity.type, activity.data) == ("mentoring.message.sent.v1", {"channel": "xapi", "reply_to": OTHER_ID})


def test_voiding_retracts_the_other_statement() -> None:
    value = statement("voided", object={"objectType": "StatementRef", "id": OTHER_ID.upper()})

    assert TOOL.translate(value, configured()) == (Voided(ID, AT, Native(f"{ADL}voided", ID), OTHER_ID),)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ({"objectType": "Activity", "id": OTHER_ID}, "object.objectType"),
        ({"objectType": "StatementRef", "id": "x"}, "object.id"),
        ({"objectType": "StatementRef"}, "object.id"),
    ],
)
def test_voiding_something_else_than_a_statement_is_a_fault(target: object, path: str) -> None:
    assert fault(statement("voided", object=target))[0] == path


def test_a_sub_statement_has_not_happened() -> None:
    planned = {"objectType": "SubStatement", "actor": ADA, "verb": {"id": f"{ADL}attended"}, "object": SESSION}

    assert TOOL.translate(statement("attended", object=planned), configured()) == Ignored("sub_statement")
    assert TOOL.translate(statement("http://example.com/planned", object=planned), configured()) == Ignored(
        "sub_statement"
    )


def test_unmapped_verbs_are_ignored() -> None:
    assert TOOL.translate(statement("experienced"), configured()) == Ignored("verb_of_no_interest")
    assert TOOL.translate(statement(), configured(verbs={f"{ADL}attended": []})) == Ignored("verb_of_no_interest")


def test_a_statement_with_an_unmapped_verb_may_have_any_shape() -> None:
    value = statement("experienced", actor="somebody", timestamp=None, stored=None, result={"duration": "long"})

    assert TOOL.translate(value, configured()) == Ignored("verb_of_no_interest")


def test_a_verb_may_mean_another_thing_for_another_activity() -> None:
    verbs = {
        f"{ADL}completed": [
            {"activity": SESSION["id"], "type": "mentoring.preparation.completed.v1", "data": {"kind": "briefing"}},
            {"activity": "https://example.com/goal", "type": "mentoring.goal.achieved.v1"},
        ]
    }

    assert activity_of(statement("completed"), verbs=verbs).data == {"kind": "briefing"}
    goal = {"id": "urn:goal", "definition": {"type": "https://example.com/goal"}}
    assert activity_of(statement("completed", object=goal), verbs=verbs).data == {"goal_id": "urn:goal"}
    assert TOOL.translate(statement("completed", object={"id": "urn:x"}), configured(verbs=verbs)) == Ignored(
        "verb_of_no_interest"
    )


COURSE = {"id": "urn:course:1", "definition": {"type": "http://adlnet.gov/expapi/activities/course"}}
POST = {"id": "urn:post:1", "definition": {"type": "http://id.tincanapi.com/activitytype/forum-topic"}}


@pytest.mark.parametrize("verb", ["commented", "shared", "attended"])
@pytest.mark.parametrize(
    "changes",
    [
        {"object": POST},
        {"object": COURSE},
        {"context": {"contextActivities": {"parent": [COURSE]}}},
        {"context": {"contextActivities": {"grouping": COURSE}}},
    ],
)
def test_what_somebody_does_alone_in_a_course_or_forum_is_no_contact(verb: str, changes: Any) -> None:  # noqa: ANN401
    value = statement(verb, **changes)

    assert TOOL.translate(value, configured()) == Ignored("of_a_course_or_forum")
    assert TOOL.translate(redacted_by(TOOL, value), configured()) == Ignored("of_a_course_or_forum")
    together = TOOL.translate(statement(verb, **changes | {"actor": PAIR}), configured())
    assert isinstance(together, tuple)


def test_settings_may_map_a_course_or_a_forum() -> None:
    data = {"channel": "xapi"}
    verbs = {f"{ADL}commented": [{"type": "mentoring.message.sent.v1", "data": data, "activity": COURSE["id"]}]}
    value = statement("commented", object=POST, context={"contextActivities": {"parent": [COURSE]}})

    assert activity_of(value, verbs=verbs).data == data
    assert activity_of(redacted_by(TOOL, value, configured(verbs=verbs)), verbs=verbs).data == data
    assert TOOL.translate(statement("commented", object=POST), configured(verbs=verbs)) == Ignored(
        "verb_of_no_interest"
    )


def test_the_relationship_may_stand_in_an_extension() -> None:
    context = {"extensions": {"https://example.com/pair": "rel-1"}}

    assert activity_of(statement(context=context), relationship="https://example.com/pair").relationship == "rel-1"
    assert activity_of(statement(), relationship="https://example.com/pair").relationship == ""
    wrong = {"extensions": {"https://example.com/pair": ["rel-1"]}}
    assert fault(statement(context=wrong), relationship="https://example.com/pair")[0].startswith("context.extensions")


@pytest.mark.parametrize(
    ("timestamp", "shift"),
    [
        ("2026-03-01T10:00:00", 0),
        ("2026-03-01T10:00:00+02:00", -2),
        ("2026-03-01T10:00:00.1234567Z", 0),
        ("2026-03-01T10:00:00+0200", -2),
    ],
)
def test_a_time_without_a_zone_is_utc(timestamp: str, shift: int) -> None:
    assert activity_of(statement(timestamp=timestamp)).time.replace(microsecond=0) == AT + timedelta(hours=shift)


def test_without_a_timestamp_it_happened_when_it_was_stored() -> None:
    assert activity_of(statement(timestamp=None)).time == datetime(2026, 3, 1, 10, 5, tzinfo=UTC)
    assert fault(statement(timestamp=None, stored=None))[0] == "timestamp"


def test_a_statement_without_an_id_gets_one_that_follows_from_it() -> None:
    value = statement()
    del value["id"]

    assert activity_of(value).key == activity_of({**value, "id": None}).key
    assert activity_of(value).key != activity_of(value | {"actor": BOB}).key
    assert len(activity_of(value).key) == 36


def test_an_id_is_the_same_in_either_case() -> None:
    assert activity_of(statement(id=ID.upper())).key == ID


def test_an_array_is_translated_in_full_and_names_the_faulty_statement() -> None:
    result = TOOL.translate([statement(), statement("experienced", id=OTHER_ID)], configured())

    assert isinstance(result, tuple)
    assert len(result) == 1
    assert TOOL.translate([], configured()) == Ignored("empty")
    assert fault([statement(), statement(verb="attended", actor=None)])[0] == "1.actor"


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"actor": {"objectType": "Agent", "name": "A"}}, "actor"),
        ({"actor": {"mbox": "mailto:nobody"}}, "actor.mbox"),
        ({"actor": {"mbox_sha1sum": "abc"}}, "actor.mbox_sha1sum"),
        ({"actor": {"account": {"name": "p-ada"}}}, "actor.account.homePage"),
        ({"actor": {"objectType": "Group", "member": [ADA, {}]}}, "actor.member.1"),
        ({"actor": {"objectType": "Group", "member": [ADA] * 101}}, "actor.member"),
        ({"context": {"instructor": {}}}, "context.instructor"),
        ({"verb": {}}, "verb.id"),
        ({"object": []}, "object"),
        ({"id": "not-a-uuid"}, "id"),
        ({"timestamp": "2026-03-01"}, "timestamp"),
        ({"timestamp": "9999-12-31T23:59:59Z"}, "timestamp"),
    ],
)
def test_a_fault_names_its_path(changes: Any, path: str) -> None:  # noqa: ANN401
    assert fault(statement() | changes)[0] == path


@pytest.mark.parametrize(
    ("meaning", "words"),
    [
        ({"type": "attended"}, "no type"),
        ({"type": "mentoring.preparation.completed.v1"}, "data.kind is required"),
        ({"type": "mentoring.skill.assessed.v1"}, "data.after is required"),
        ({"type": "mentoring.session.held.v1", "data": {"mood": 1}}, "data.mood is not known"),
    ],
)
def test_meanings_are_checked_before_anything_comes(meaning: Any, words: str) -> None:  # noqa: ANN401
    with pytest.raises(ValidationError, match=words):
        configured(verbs={f"{ADL}attended": [meaning]})


SAMPLES = (
    statement(actor=PAIR, result={"duration": "PT45M"}),
    statement("scored", result={"score": {"raw": 4, "min": 1, "max": 5}}, context={"instructor": BOB, "team": PAIR}),
    statement("voided", object={"objectType": "StatementRef", "id": OTHER_ID}),
    statement("progressed", result={"extensions": {"https://w3id.org/xapi/cmi5/result/extensions/progress": 4}}),
    statement("completed", context={"extensions": {"https://example.com/pair": "rel-1"}}),
    [statement(), statement("completed", id=OTHER_ID, actor={"openid": "https://id.example.com/ada"})],
)


@given(mutated(SAMPLES))
def test_whatever_comes_gets_a_verdict(value: Any) -> None:  # noqa: ANN401
    translated(TOOL, value, configured(relationship="https://example.com/pair", scaled_from=0))


@pytest.mark.parametrize(
    "media_type",
    ["multipart/mixed; boundary*=idna''%ff", 'multipart/mixed; boundary="', "multipart/mixed; charset*=a; charset*0=b"],
)
@pytest.mark.parametrize(
    "head", ["Content-Type: application/json; charset*=a; charset*0=b", 'x: "', "Content-Type: ;x*=''"]
)
def test_no_header_of_a_multipart_body_is_an_error_of_ours(media_type: str, head: str) -> None:
    body = f"--x\r\n{head}\r\n\r\n{{}}\r\n--x--".encode()

    found = TOOL.parse(body, media_type)

    assert isinstance(found, Parsed | Rejected)
