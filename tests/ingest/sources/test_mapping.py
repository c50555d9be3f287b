"""In-house tools: translation of their payloads by the rules of the settings."""

import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256, sha512
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.events import ADMIN_TYPES, EVENT_TYPES
from services.ingest.domain.activity import GenericActivity, Native, Person, Voided
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.mapping.settings import MappingSettings
from services.ingest.sources.mapping.tool import TOOL
from services.ingest.sources.tool import Connection, RawPayloads, Received, Unverified, Verification, Verified
from services.ingest.sources.vocabulary import required_members
from services.runtime.strict_yaml import documents
from tests.ingest.sources.mutation import mutated, translated
from tests.ingest.sources.redaction import PSEUDONYM, redacted_by

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = """
proof: bearer
free_text: [note]
rules:
  - name: goal_progress
    when: kind == 'progress'
    type: mentoring.goal.progressed.v1
    id: uid
    time: at
    by: person.mail
    data: {goal_id: goal, percent: share}
  - name: pulse
    items: answers[?question == 'pulse']
    type: mentoring.pulse.answered.v1
    id: join('/', [payload.uid, item.question])
    time: payload.at
    by: "{participant: payload.person.number}"
    relationship: payload.pair
    evidence: self_reported
    data: {rating: item.value}
  - name: met
    when: kind == 'met'
    type: mentoring.session.held.v1
    id: uid
    time: at
    people: people
    data: {session_id: uid, started_at: at, minutes: minutes}
  - name: goal
    when: kind == 'goal'
    type: mentoring.goal.set.v1
    id: uid
    time: at
    by: person.mail
    data:
      goal_id: goal
      smart: {specific: true, measurable: true, achievable: false, relevant: true, time_bound: true}
  - name: chat
    when: kind == 'chat'
    type: mentoring.message.sent.v1
    id: uid
    time: at
    by: person.mail
    people: people
    data: {channel: "'forum'", reply_to: answers_to}
  - name: undone
    when: kind == 'undone'
    voids: goal
    id: uid
    time: at
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> MappingSettings:
    file = tmp_path_factory.mktemp("mapping") / "settings.yaml"
    file.write_text(SETTINGS)
    (document,) = documents(file)
    return MappingSettings.model_validate(document)


def payload(kind: str, **changes: object) -> dict[str, Any]:
    return {
        "kind": kind,
        "uid": "u-1",
        "at": "2026-03-01T10:00:00+01:00",
        "person": {"mail": "ada@example.com"},
    } | changes


def progress(**changes: object) -> dict[str, Any]:
    return payload("progress", **({"goal": "g-1", "share": 40} | changes))


def rule(**changes: object) -> dict[str, Any]:
    base: dict[str, Any] = {
        "name": "one",
        "type": "mentoring.goal.achieved.v1",
        "id": "uid",
        "time": "at",
        "relationship": "pair",
        "data": {"goal_id": "goal"},
    }
    return {name: value for name, value in (base | changes).items() if value is not None}


def configured(*rules: dict[str, Any], **changes: Any) -> MappingSettings:  # noqa: ANN401
    return MappingSettings.model_validate({"rules": list(rules or [rule()])} | changes)


def achieved(**changes: object) -> dict[str, Any]:
    return {"uid": "u-1", "at": "2026-03-01T10:00:00Z", "pair": "rel-1", "goal": "g-1"} | changes


def activity_of(value: object, given: MappingSettings) -> GenericActivity:
    result = TOOL.translate(value, given)
    assert isinstance(result, tuple), result
    (activity,) = result
    assert isinstance(activity, GenericActivity)
    return activity


def fault(value: object, given: MappingSettings) -> tuple[str, str]:
    result = TOOL.translate(value, given)
    assert isinstance(result, Rejected), result
    return result.errors[0].path, result.errors[0].reason


def test_a_rule_makes_an_event_of_a_payload(settings: MappingSettings) -> None:
    activity = activity_of(progress(), settings)

    assert (activity.type, activity.data) == ("mentoring.goal.progressed.v1", {"goal_id": "g-1", "percent": 40})
    assert (activity.by, activity.people, activity.relationship) == (Person(address="ada@example.com"), (), "")
    assert (activity.key, activity.native) == ("goal_progress:u-1", Native("goal_progress", "u-1"))
    assert activity.time == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert activity.evidence == "observed"


def test_a_rule_with_items_applies_to_each_item(settings: MappingSettings) -> None:
    answers = [{"question": "pulse", "value": 4}, {"question": "why", "value": "text"}]

    activity = activity_of(payload("form", answers=answers, person={"number": "p-ada"}, pair="rel-1"), settings)

    assert (activity.data, activity.by, activity.relationship) == ({"rating": 4}, Person(participant="p-ada"), "rel-1")
    assert (activity.key, activity.evidence) == ("pulse:u-1/pulse", "self_reported")


def test_members_of_data_that_are_no_text_are_meant_as_they_stand(settings: MappingSettings) -> None:
    assert activity_of(payload("goal", goal="g-1"), settings).data["smart"] == {
        "specific": True,
        "measurable": True,
        "achievable": False,
        "relevant": True,
        "time_bound": True,
    }


def test_a_member_that_is_null_is_left_out_unless_it_is_required(settings: MappingSettings) -> None:
    met = payload("met", people=["p-ada", "p-bob"])

    assert "minutes" not in activity_of(met, settings).data
    assert activity_of(met, settings).people == (Person(participant="p-ada"), Person(participant="p-bob"))
    assert fault(progress(share=None), settings) == (
        "goal_progress.data.percent",
        "is required in mentoring.goal.progressed.v1",
    )


def test_a_message_answers_another_by_the_tools_own_id(settings: MappingSettings) -> None:
    people = ["bob@example.com"]
    first = activity_of(payload("chat", uid="m-1", people=people), settings)

    assert (
        activity_of(payload("chat", uid="m-2", people=people, answers_to="m-1"), settings).data["reply_to"] == first.key
    )


def test_a_statement_of_a_rule_can_be_voided(settings: MappingSettings) -> None:
    goal = activity_of(payload("goal", goal="g-1"), settings)

    result = TOOL.translate(payload("undone", at="2026-03-02T10:00:00Z"), settings)

    at = datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert result == (Voided("undone:u-1", at, Native("undone", "u-1"), goal.key),)


def test_a_payload_without_a_matching_rule_is_ignored(settings: MappingSettings) -> None:
    values: tuple[object, ...] = (payload("other"), {}, [], 3, None, "text", payload("form", answers=[]))

    for value in values:
        assert TOOL.translate(value, settings) == Ignored("no_rule")


def test_every_matching_rule_applies() -> None:
    result = TOOL.translate(achieved(), configured(rule(), rule(name="two", type="mentoring.milestone.celebrated.v1")))

    assert isinstance(result, tuple)
    assert len({one.key for one in result}) == 2


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"share": 140}, "goal_progress.data.percent"),
        ({"share": "40"}, "goal_progress.data.percent"),
        ({"goal": "a goal"}, "goal_progress.data.goal_id"),
        ({"goal": "ada@example.com"}, "goal_progress.data.goal_id"),
        ({"uid": None}, "goal_progress.id"),
        ({"uid": ["u"]}, "goal_progress.id"),
        ({"uid": True}, "goal_progress.id"),
        ({"uid": "x" * 600}, "goal_progress.id"),
        ({"at": None}, "goal_progress.time"),
        ({"at": "yesterday"}, "goal_progress.time"),
        ({"at": "2026-03-01T10:00:00"}, "goal_progress.time"),
        ({"at": 1772359200}, "goal_progress.time"),
        ({"person": {"mail": None}}, "goal_progress.by"),
        ({"person": {"mail": ["a@example.com", "b@example.com"]}}, "goal_progress.by"),
        ({"person": {"mail": {"nick": "ada"}}}, "goal_progress.by"),
        ({"person": {"mail": 1.5}}, "goal_progress.by"),
    ],
)
def test_a_wrong_result_is_named_with_its_rule_and_member(settings: MappingSettings, changes: Any, path: str) -> None:  # noqa: ANN401
    assert fault(progress() | changes, settings)[0] == path


def test_a_wrong_item_is_named_with_its_number(settings: MappingSettings) -> None:
    answers = [{"question": "pulse", "value": 4}, {"question": "pulse", "value": 9}]

    value = payload("form", answers=answers, person={"number": "p-ada"}, pair="rel-1")

    assert fault(value, settings)[0] == "pulse.1.data.rating"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("sum(goal)", "secret"),
        ("ceil(goal)", 1e308 * 10),
        ("join(',', goal)", [1]),
        ("contains(goal, `[1]`)", "secret"),
        ("goal < `1` && goal", "secret"),
        ("avg(goal)", [10**400]),
        ("sort(goal)[0]", [1, "b"]),
        ("max_by(goal, &b)", [{}]),
        ("keys(goal)", []),
    ],
)
def test_what_an_expression_raises_is_a_fault_that_quotes_nothing(expression: str, value: object) -> None:
    path, reason = fault(achieved(goal=value), configured(rule(data={"goal_id": expression})))

    assert path == "one.data.goal_id"
    assert "secret" not in reason
    assert expression.split("(", maxsplit=1)[0] in reason


@pytest.mark.parametrize("member", ["when", "id", "time", "relationship", "items", "by", "people"])
def test_each_expression_of_a_rule_is_named_where_it_does_not_fit(member: str) -> None:
    given = configured(rule(**{member: "keys(goal)"}))

    assert fault(achieved(), given)[0] == f"one.{member}"


@pytest.mark.parametrize("value", [{"a": 1}, "text", 3, True])
def test_items_must_be_a_list(value: object) -> None:
    path, reason = fault(achieved(many=value), configured(rule(items="many")))

    assert (path, reason) == ("one.items", "must give a list")


@pytest.mark.parametrize(
    ("value", "speaks"), [(True, True), (0, True), ("x", True), (False, False), (None, False), ("", False), ([], False)]
)
def test_when_is_true_as_jmespath_defines_it(value: object, speaks: bool) -> None:  # noqa: FBT001
    result = TOOL.translate(achieved(flag=value), configured(rule(when="flag")))

    assert isinstance(result, tuple) == speaks


@pytest.mark.parametrize(
    ("settings", "written"),
    [
        ({}, "2026-03-01T09:00:00Z"),
        ({"time_zone": "Europe/Vienna"}, "2026-03-01T10:00:00"),
        ({"time_zone": "Europe/Vienna"}, "2026-03-01T09:00:00Z"),
        ({"times": "seconds"}, 1772355600),
        ({"times": "seconds"}, "1772355600.5"),
        ({"times": "milliseconds"}, 1772355600000),
    ],
)
def test_times_are_parsed_by_the_settings(settings: Any, written: object) -> None:  # noqa: ANN401
    activity = activity_of(achieved(at=written), configured(**settings))

    assert activity.time.replace(microsecond=0) == datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "person"),
    [
        ("ada@example.com", Person(address="ada@example.com")),
        ("p-ada", Person(participant="p-ada")),
        (4711, Person(participant="4711")),
        ({"id": 7, "address": "ada@example.com"}, Person(id="7", address="ada@example.com")),
    ],
)
def test_people_are_texts_or_objects(given: object, person: Person) -> None:
    assert activity_of(achieved(who=given), configured(rule(people="who", relationship=None))).people == (person,)


def test_people_that_are_mere_texts_may_be_the_tools_own() -> None:
    assert activity_of(achieved(who="7"), configured(rule(by="who"), people="id")).by == Person(id="7")


def test_a_rule_without_people_is_a_fault() -> None:
    assert fault(achieved(pair=None), configured())[0] == "one.relationship"
    assert fault(achieved(who=[]), configured(rule(people="who", relationship=None)))[0] == "one.people"
    assert fault(achieved(who=["p"] * 101), configured(rule(people="who", relationship=None)))[0] == "one.people"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"type": None}, "rule one: give either type or voids"),
        ({"voids": "one"}, "rule one: give either type or voids"),
        ({"type": "goal.achieved"}, "did you mean mentoring.goal.achieved.v1"),
        ({"type": "mentoring.relationship.erased.v1"}, "no type"),
        ({"type": "mentoring.event.retracted.v1"}, "no type"),
        ({"type": "mentoring.score.changed.v1"}, "no type"),
        ({"data": {}}, "rule one: data.goal_id is required"),
        ({"data": {"goal_id": "goal", "colour": "red"}}, "rule one: data.colour is not known"),
        ({"data": {"goal_id": "goal", "by": "'mentor'"}}, "data.by is not known"),
        ({"data": {"goal_id": "goal["}}, "no JMESPath expression"),
        ({"id": ""}, "no JMESPath expression"),
        ({"id": "uid(x)"}, "no function uid"),
        ({"id": "length()"}, "takes 1 argument"),
        ({"id": 3}, "must be a JMESPath expression"),
        ({"id": "x" * 5000}, "at most 4096"),
        ({"time": None}, "Field required"),
        ({"relationship": None}, "relationship, by or people is required"),
        ({"type": "mentoring.reflection.recorded.v1", "data": {}}, "by is required"),
        ({"name": "Rule One"}, "match pattern"),
        ({"where": "x"}, "Extra inputs"),
        ({"type": None, "voids": "two", "relationship": None, "data": None}, "there is no rule 'two' to void"),
        ({"type": None, "voids": "one"}, "no data and no people"),
    ],
)
def test_rules_are_checked_before_anything_comes(changes: Any, words: str) -> None:  # noqa: ANN401
    with pytest.raises(ValidationError, match=words.replace("(", r"\(")):
        configured(rule(**changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rules": []}, "at least 1 item"),
        ({"rules": [rule(), rule()]}, "is there twice"),
        ({"proof": "none"}, "Input should be"),
        ({"proof": {"header": "X Y"}}, "match pattern"),
        ({"time_zone": "Mars/Base"}, "no IANA time zone"),
        ({"times": "days"}, "Input should be"),
    ],
)
def test_settings_are_checked_before_anything_comes(changes: Any, words: str) -> None:  # noqa: ANN401
    with pytest.raises(ValidationError, match=words):
        configured(**changes)


@pytest.mark.parametrize("name", sorted(set(EVENT_TYPES) - ADMIN_TYPES - {"mentoring.event.retracted.v1"}))
def test_every_type_of_the_catalogue_can_be_mapped(name: str) -> None:
    data = {member: member for member in required_members(name)}

    assert configured(rule(type=name, data=data, by="who")).rules[0].type == name


def proven(given: MappingSettings, body: bytes, **headers: str) -> Verification:
    connection = Connection(ConnectionScope("acme", None, "mapping", "house"), TOOL, given, "s3cret")
    return connection.verify(Received({name.replace("_", "-"): value for name, value in headers.items()}, body), NOW)


def test_requests_are_verified_by_the_settings() -> None:
    basic = b64encode(b"s3cret").decode()

    assert proven(configured(), b"x", authorization="Bearer s3cret") == Verified()
    assert isinstance(proven(configured(), b"x", authorization=f"Basic {basic}"), Unverified)
    assert proven(configured(proof="basic"), b"x", authorization=f"Basic {basic}") == Verified()
    assert isinstance(proven(configured(proof="basic"), b"x", authorization="Bearer s3cret"), Unverified)


def test_a_signature_may_have_either_encoding() -> None:
    body = b'{"kind": "met"}'
    digest = hmac.new(b"s3cret", body, sha256)
    hexadecimal = configured(proof={"header": "X-Signature", "prefix": "sha256="})
    base64 = configured(proof={"header": "X-Sign", "encoding": "base64", "algorithm": "sha512"})

    assert proven(hexadecimal, body, x_signature=f"sha256={digest.hexdigest()}") == Verified()
    assert proven(hexadecimal, body, x_signature=f"SHA256={digest.hexdigest().upper()}") == Verified()
    assert proven(base64, body, x_sign=b64encode(hmac.new(b"s3cret", body, sha512).digest()).decode()) == Verified()
    for wrong in ("", digest.hexdigest(), "sha256=", f"sha256={hmac.new(b'x', body, sha256).hexdigest()}", "sha256=é"):
        assert isinstance(proven(hexadecimal, body, x_signature=wrong), Unverified)
    assert isinstance(proven(hexadecimal, body, authorization="Bearer s3cret"), Unverified)


def test_free_text_is_cut_before_anything_is_stored(settings: MappingSettings) -> None:
    value = progress(note="secret", deep=[{"note": {"a": "secret"}}], words="secret")

    found = redacted_by(TOOL, value, settings)

    assert "secret" not in json.dumps(found)
    assert TOOL.translate(found, settings) == TOOL.translate(value, settings)
    assert redacted_by(TOOL, found, settings) == found


def test_of_an_id_that_may_be_text_a_digest_is_kept_under_which_it_is_answered_and_voided(
    settings: MappingSettings,
) -> None:
    first = redacted_by(TOOL, payload("chat", uid="my secret", people=["bob@example.com"]), settings)
    answer = redacted_by(TOOL, payload("chat", uid="m-2", people=["b@x.org"], answers_to="my secret"), settings)
    goal = redacted_by(TOOL, payload("goal", uid="my secret", goal="g-1"), settings)
    undone = redacted_by(TOOL, payload("undone", uid="my secret"), settings)

    assert "secret" not in json.dumps([first, answer, goal, undone])
    assert activity_of(answer, settings).data["reply_to"] == activity_of(first, settings).key
    voided = TOOL.translate(undone, settings)
    assert isinstance(voided, tuple)
    assert [one.target for one in voided if isinstance(one, Voided)] == [activity_of(goal, settings).key]


def test_expressions_may_look_at_whole_texts_and_only_what_they_find_is_kept() -> None:
    given = configured(
        rule(when="contains(note, 'brave')", by="who", people="others", data={"goal_id": "goal"}, relationship=None)
    )
    value = achieved(note="I was brave, secret", who="Ada L", others=["Bob secret", "bob@example.com"])

    found = redacted_by(TOOL, value, given)

    assert "secret" not in json.dumps(found)
    activity = activity_of(found, given)
    assert activity.by == Person(participant=PSEUDONYM("Ada L"))
    assert activity.people == (Person(participant=PSEUDONYM("Bob secret")), Person(address="bob@example.com"))
    assert TOOL.translate(redacted_by(TOOL, achieved(note="no"), given), given) == Ignored("no_rule")


@pytest.mark.parametrize(
    "changes",
    [{"share": 140}, {"goal": "a secret goal"}, {"at": "secret"}, {"person": {"mail": {"secret": "x"}}}, {"uid": None}],
)
def test_a_fault_is_kept_in_our_words_and_none_of_the_payload(settings: MappingSettings, changes: Any) -> None:  # noqa: ANN401
    value = progress() | changes

    found = redacted_by(TOOL, value, settings)

    assert "secret" not in json.dumps(found)
    assert fault(found, settings) == fault(value, settings)
    assert redacted_by(TOOL, found, settings) == found


def test_an_unknown_member_of_data_is_not_quoted() -> None:
    given = configured(rule(type="mentoring.goal.set.v1", data={"goal_id": "goal", "smart": "flags"}))

    path, reason = fault(achieved(flags={"my secret": True}), given)

    assert "secret" not in path + reason


FORGED = (
    {"made": [{"rule": "one", "id": "my secret", "time": "2026-03-01T10:00:00Z", "data": {"goal_id": "my secret"}}]},
    {
        "made": [
            {
                "rule": "one",
                "id": "u",
                "time": "2026-03-01T10:00:00Z",
                "people": [{"id": "x"}],
                "data": {"my secret": 1},
            }
        ]
    },
    {"made": [{"rule": "secret", "id": "u", "time": "2026-03-01T10:00:00Z"}]},
    {"made": [{"rule": "one", "id": "u", "time": "2026-03-01T10:00:00Z", "data": {"goal_id": "g"}}]},
    {"faults": [{"path": "my secret", "reason": "my secret"}], "seal": "0" * 32},
    {"faults": [{"path": "my secret", "reason": "my secret"}]},
    {"my secret": "my secret"},
    "my secret",
    None,
)


@pytest.mark.parametrize("forged", FORGED)
def test_what_was_recorded_is_believed_only_as_far_as_a_rule_could_have_made_it(forged: object) -> None:
    value = {"rapport_rules_applied": forged}

    found = redacted_by(TOOL, value, configured())

    assert "secret" not in json.dumps(found)
    assert isinstance(TOOL.translate(found, configured()), Rejected)
    assert isinstance(TOOL.translate(value, configured()), Rejected)
    assert redacted_by(TOOL, found, configured()) == found


SAMPLES = (
    progress(),
    payload("form", answers=[{"question": "pulse", "value": 4}], person={"number": "p-ada"}, pair="rel-1"),
    payload("met", people=["p-ada", {"id": "7"}], minutes=30),
    payload("goal", goal="g-1"),
    payload("chat", people=["bob@example.com"], answers_to="m-1"),
    payload("undone"),
)


@pytest.fixture(scope="module")
def other_settings() -> MappingSettings:
    return configured(
        rule(by="person", people="people", data={"goal_id": "to_string(@)"}, when="sort(people) || ceil(minutes)"),
        rule(name="two", items="people", id="item", time="payload.at", relationship="reverse(item)", when="avg(item)"),
        times="milliseconds",
    )


@given(value=mutated(SAMPLES), raw=st.binary(max_size=20))
def test_whatever_comes_gets_a_verdict(
    value: Any,  # noqa: ANN401
    raw: bytes,
    settings: MappingSettings,
    other_settings: MappingSettings,
) -> None:
    translated(TOOL, value, settings)
    translated(TOOL, value, other_settings)
    assert isinstance(TOOL.split(Received({}, raw), settings, NOW), RawPayloads | Rejected)


@pytest.mark.parametrize("pair", [None, ""])
def test_of_an_answer_that_does_not_say_its_relationship_nobody_guesses_it(pair: str | None) -> None:
    one = rule(by="who")

    assert fault(achieved(pair=pair, who="p-ada"), configured(one))[0] == "one.relationship"
    assert (
        activity_of(achieved(pair=pair, who="p-ada", other="p-ben"), configured(one | {"people": "other"})).relationship
        == ""
    )
    assert activity_of(achieved(who="p-ada"), configured(one)).relationship == "rel-1"


@pytest.mark.parametrize("at", ["11/01/2026 1:30 AM", "03/08/2026 02:30"])
def test_a_time_that_the_change_of_clocks_doubles_or_skips_needs_its_zone(at: str) -> None:
    settings = configured(times="mm/dd/yyyy", time_zone="America/New_York")

    path, words = fault(achieved(at=at), settings)

    assert (path, "the clocks change then in America/New_York" in words) == ("one.time", True)
    assert activity_of(achieved(at="2026-11-01T01:30:00-05:00"), settings).time == datetime(
        2026, 11, 1, 6, 30, tzinfo=UTC
    )


@pytest.mark.parametrize(("percent", "is_right"), [(0.4, False), (0.999, False), (0, True), (1, True), (40.5, True)])
def test_a_percentage_that_may_be_a_share_is_no_progress(percent: float, *, is_right: bool) -> None:
    settings = configured(rule(type="mentoring.goal.progressed.v1", data={"goal_id": "goal", "percent": "done"}))

    found = TOOL.translate(achieved(done=percent), settings)

    assert isinstance(found, tuple) == is_right
    if isinstance(found, Rejected):
        assert found.errors[0].path == "one.data.percent"
