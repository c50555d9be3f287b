"""Typeform: responses of forms that mentors and mentees fill in."""

import hmac
import json
import unicodedata
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from services.ingest.domain.activity import GenericActivity, Native, Person
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.tool import Received, Unverified, Verified
from services.ingest.sources.typeform.model import TypeformSettings
from services.ingest.sources.typeform.tool import TOOL
from tests.ingest.sources.mutation import mutated, translated
from tests.ingest.sources.redaction import PSEUDONYM, redacted_by

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FEEDBACK = {"type": "mentoring.feedback.given.v1", "data": {"about": "session"}}
SETTINGS: dict[str, Any] = {
    "respondent": {"participant": "person"},
    "relationship": "pair",
    "questions": {
        "how_was_it": FEEDBACK,
        "fit": {
            "type": "mentoring.fit.rated.v1",
            "values": {"Yes": "good", "choice-unsure": "undecided", "No": "not_good", "true": "good", "3": "good"},
        },
        "pulse": {"type": "mentoring.pulse.answered.v1"},
        "checkin": {"type": "mentoring.checkin.answered.v1"},
        "progress": {"type": "mentoring.goal.progressed.v1", "hidden": {"goal_id": "goal"}},
        "due": {"type": "mentoring.goal.set.v1", "hidden": {"goal_id": "goal"}},
        "reached": {"type": "mentoring.goal.achieved.v1", "hidden": {"goal_id": "goal"}, "when": ["true", "Reached"]},
    },
}


def configured(**changes: Any) -> TypeformSettings:  # noqa: ANN401
    return TypeformSettings.model_validate(SETTINGS | changes)


def asked(ref: str, kind: str, **properties: object) -> dict[str, Any]:
    return {"id": f"id-{ref}", "ref": ref, "title": "A question?", "type": kind, "properties": properties}


def answer(ref: str, kind: str, **value: object) -> dict[str, Any]:
    (member,) = value
    return {"type": member, **value, "field": {"id": f"id-{ref}", "ref": ref, "type": kind}}


def response(*answers: object, fields: list[Any] | None = None, **changes: object) -> dict[str, Any]:
    return {
        "event_id": "01HXAMPLE",
        "event_type": "form_response",
        "form_response": {
            "form_id": "lT4Z3j",
            "token": "a3a12ec67a1365927098a606107fac15",
            "landed_at": "2026-03-01T09:58:00Z",
            "submitted_at": "2026-03-01T10:00:00Z",
            "hidden": {"person": "p-ada", "pair": "rel-1", "goal": "g-1"},
            "calculated": {"score": 9},
            "variables": [{"key": "score", "type": "number", "number": 4}],
            "definition": {"id": "lT4Z3j", "title": "After the session", "fields": fields or []},
            "answers": list(answers),
            "ending": {"id": "dN5FLyFpCMFo", "ref": "01GRC8GR2017M6WW347T86VV39"},
            **changes,
        },
    }


def activity_of(value: object, settings: TypeformSettings | None = None) -> GenericActivity:
    result = TOOL.translate(value, settings or configured())
    assert isinstance(result, tuple), result
    (activity,) = result
    assert isinstance(activity, GenericActivity)
    return activity


def fault(value: object, settings: TypeformSettings | None = None) -> tuple[str, str]:
    result = TOOL.translate(value, settings or configured())
    assert isinstance(result, Rejected), result
    return result.errors[0].path, result.errors[0].reason


def rated(number: object, kind: str = "opinion_scale", ref: str = "how_was_it") -> dict[str, Any]:
    return answer(ref, kind, number=number)


def test_a_body_signed_with_the_secret_is_proven() -> None:
    body = b'{"event_id": "1"}'
    signature = b64encode(hmac.new(b"s3cret", body, sha256).digest()).decode()

    def verify(header: str, secret: str = "s3cret") -> object:
        return TOOL.verify(Received({"typeform-signature": header}, body), secret, NOW)

    assert verify(f"sha256={signature}") == Verified()
    assert isinstance(verify(f"sha256={signature}", "another"), Unverified)
    assert isinstance(verify(signature), Unverified)
    assert isinstance(verify(f"sha256={hmac.new(b's3cret', body, sha256).hexdigest()}"), Unverified)
    assert isinstance(TOOL.verify(Received({}, body), "s3cret", NOW), Unverified)
    assert isinstance(
        TOOL.verify(Received({"typeform-signature": f"sha256={signature}"}, body + b" "), "s3cret", NOW), Unverified
    )


def test_a_rating_is_feedback_on_the_scale_of_the_form() -> None:
    activity = activity_of(
        response(rated(4), fields=[asked("how_was_it", "opinion_scale", steps=5, start_at_one=True)])
    )

    assert activity.type == "mentoring.feedback.given.v1"
    assert activity.data == {"about": "session", "rating": 4, "scale_min": 1, "scale_max": 5}
    assert (activity.by, activity.relationship, activity.evidence) == (
        Person(participant="p-ada"),
        "rel-1",
        "self_reported",
    )
    assert activity.time == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert activity.native == Native("form_response", "a3a12ec67a1365927098a606107fac15")


@pytest.mark.parametrize(
    ("question", "lowest", "highest"),
    [
        (asked("how_was_it", "opinion_scale", steps=11), 0, 10),
        (asked("how_was_it", "opinion_scale", steps=11, start_at_one=False), 0, 10),
        (asked("how_was_it", "opinion_scale", steps=10, start_at_one=True), 1, 10),
        (asked("how_was_it", "opinion_scale", steps=5, start_at_one=False), 0, 4),
        (asked("how_was_it", "rating", steps=7), 1, 7),
        (asked("how_was_it", "nps"), 0, 10),
    ],
)
def test_scales_begin_at_zero_unless_they_start_at_one(question: Any, lowest: int, highest: int) -> None:  # noqa: ANN401
    for number in (lowest, highest):
        data = activity_of(response(rated(number, question["type"]), fields=[question])).data
        assert (data["scale_min"], data["scale_max"], data["rating"]) == (lowest, highest, number)

    for number in (lowest - 1, highest + 1):
        path, reason = fault(response(rated(number, question["type"]), fields=[question]))
        assert path == "form_response.answers.0.number"
        assert f"from {lowest} to {highest}" in reason


def test_without_a_scale_in_the_form_the_settings_define_it() -> None:
    given = configured(questions={"how_was_it": FEEDBACK | {"scale": {"min": 0, "max": 10}}})

    for fields in ([], [asked("how_was_it", "opinion_scale")]):
        assert activity_of(response(rated(0), fields=fields), given).data["scale_max"] == 10

    assert "neither the form nor the settings define its scale" in fault(response(rated(3)))[1]
    assert "neither the form nor the settings define its scale" in fault(response(rated(3, "number")))[1]


def test_settings_that_contradict_the_form_are_a_fault_and_no_guess() -> None:
    given = configured(questions={"how_was_it": FEEDBACK | {"scale": {"min": 1, "max": 5}}})

    path, reason = fault(response(rated(3), fields=[asked("how_was_it", "opinion_scale", steps=11)]), given)

    assert path == "form_response.answers.0.number"
    assert reason == "the form's scale is 0 to 10, that of the settings 1 to 5"


def test_a_response_without_a_definition_is_read_by_the_settings() -> None:
    given = configured(questions={"how_was_it": FEEDBACK | {"scale": {"min": 1, "max": 5}}})
    value = response(rated(5))
    del value["form_response"]["definition"]

    assert activity_of(value, given).data["rating"] == 5


def test_a_question_is_known_by_its_ref_or_by_its_id() -> None:
    given = configured(questions={"id-how_was_it": FEEDBACK})

    activity = activity_of(response(rated(4), fields=[asked("how_was_it", "rating", steps=5)]), given)

    assert activity.data["rating"] == 4


@pytest.mark.parametrize(
    ("given", "fit"),
    [
        (answer("fit", "multiple_choice", choice={"id": "c1", "ref": "r1", "label": "Yes"}), "good"),
        (
            answer("fit", "multiple_choice", choice={"id": "c2", "ref": "choice-unsure", "label": "Unsicher"}),
            "undecided",
        ),
        (answer("fit", "multiple_choice", choice={"label": "No"}), "not_good"),
        (answer("fit", "multiple_choice", choices={"ids": ["c3"], "refs": ["r3"], "labels": ["No"]}), "not_good"),
        (answer("fit", "yes_no", boolean=True), "good"),
        (answer("fit", "opinion_scale", number=3), "good"),
        (answer("fit", "opinion_scale", number=3.0), "good"),
    ],
)
def test_choices_are_mapped_by_the_settings(given: Any, fit: str) -> None:  # noqa: ANN401
    assert activity_of(response(given)).data == {"fit": fit}


def test_an_unmapped_choice_is_a_fault_without_a_quote() -> None:
    value = response(answer("fit", "multiple_choice", choice={"other": "He is a jerk"}))

    path, reason = fault(value)

    assert path == "form_response.answers.0.choice"
    assert "jerk" not in reason


@pytest.mark.parametrize(("number", "rating"), [(0, 1), (1, 1), (2, 2), (5, 3), (8, 4), (9, 5), (10, 5)])
def test_a_pulse_on_another_scale_is_stretched_to_ours(number: int, rating: int) -> None:
    activity = activity_of(response(rated(number, "nps", "pulse"), fields=[asked("pulse", "nps")]))

    assert activity.data == {"rating": rating}


def test_a_check_in_may_come_without_a_rating() -> None:
    assert activity_of(response(answer("checkin", "short_text", text=""))).data == {}
    assert activity_of(response(rated(4, "rating", "checkin"), fields=[asked("checkin", "rating", steps=5)])).data == {
        "rating": 4
    }


def test_progress_is_a_percentage_or_a_share_of_its_scale() -> None:
    assert activity_of(response(rated(70, "number", "progress"))).data == {"goal_id": "g-1", "percent": 70}
    scaled = activity_of(
        response(rated(3, "opinion_scale", "progress"), fields=[asked("progress", "opinion_scale", steps=5)])
    )
    assert scaled.data["percent"] == 75
    assert "from 0 to 100" in fault(response(rated(101, "number", "progress")))[1]


@pytest.mark.parametrize("share", [0.4, 0.999])
def test_a_percentage_that_may_be_a_share_is_no_progress(share: float) -> None:
    path, words = fault(response(rated(share, "number", "progress")))

    assert (path, "may be a share" in words) == ("form_response.answers.0.number", True)


def test_a_date_is_when_a_goal_is_due() -> None:
    assert activity_of(response(answer("due", "date", date="2026-06-30"))).data == {
        "goal_id": "g-1",
        "due": "2026-06-30",
    }
    assert activity_of(response(answer("due", "date", date="2026-06-30T00:00:00Z"))).data["due"] == "2026-06-30"


def test_only_configured_answers_emit_events() -> None:
    activity = activity_of(response(answer("reached", "yes_no", boolean=True)))

    assert (activity.type, activity.data) == ("mentoring.goal.achieved.v1", {"goal_id": "g-1"})
    assert TOOL.translate(response(answer("reached", "yes_no", boolean=False)), configured()) == Ignored(
        "answer_of_no_interest"
    )


def test_each_answer_is_a_statement_of_its_own() -> None:
    fields = [asked("how_was_it", "rating", steps=5), asked("pulse", "rating", steps=5)]
    value = response(
        rated(4, "rating"), rated(2, "rating", "pulse"), answer("why", "long_text", text="x"), fields=fields
    )

    result = TOOL.translate(value, configured())

    assert isinstance(result, tuple)
    assert [one.type for one in result if isinstance(one, GenericActivity)] == [
        "mentoring.feedback.given.v1",
        "mentoring.pulse.answered.v1",
    ]
    assert len({one.key for one in result}) == 2
    assert TOOL.translate(json.loads(json.dumps(value)), configured()) == result


def test_partial_responses_and_other_events_are_ignored() -> None:
    assert TOOL.translate(response() | {"event_type": "form_response_partial"}, configured()) == Ignored("partial")
    assert TOOL.translate({"event_type": "form_viewed"}, configured()) == Ignored("other_event")
    assert TOOL.translate(response(answer("why", "long_text", text="x")), configured()) == Ignored(
        "no_answer_of_interest"
    )


@pytest.mark.parametrize(
    ("respondent", "person"),
    [
        ({"address": "mail"}, Person(address="ada@example.com")),
        ({"id": "who"}, Person(id="42")),
        ({"answer": "your_mail"}, Person(address="ada@example.org")),
        ({"answer": "id-your_mail"}, Person(address="ada@example.org")),
    ],
)
def test_who_answered_stands_in_a_hidden_field_or_an_email_answer(respondent: Any, person: Person) -> None:  # noqa: ANN401
    hidden = {"mail": "ada@example.com", "who": 42}
    mail = answer("your_mail", "email", email="ada@example.org")
    fields = [asked("how_was_it", "rating", steps=5)]

    activity = activity_of(
        response(rated(4), mail, fields=fields, hidden=hidden), configured(respondent=respondent, relationship=None)
    )

    assert (activity.by, activity.relationship) == (person, "")


def test_the_other_of_the_pair_may_be_named_instead_of_the_relationship() -> None:
    given = configured(relationship=None, other={"address": "partner"})
    value = response(rated(4), fields=[asked("how_was_it", "rating", steps=5)])
    value["form_response"]["hidden"]["partner"] = "bob@example.com"

    assert activity_of(value, given).people == (Person(address="bob@example.com"),)


@pytest.mark.parametrize("hidden", [None, {}, {"person": ""}, {"person": "xxxxx"}, {"person": None}, {"person": []}])
def test_a_hidden_field_that_was_not_passed_to_the_form_is_named(hidden: object) -> None:
    path, _ = fault(response(rated(4), hidden=hidden))

    assert path == "form_response.hidden.person"


def test_an_unanswered_email_question_is_reported() -> None:
    given = configured(respondent={"answer": "your_mail"})

    assert "'your_mail'" in fault(response(rated(4)), given)[1]
    assert (
        fault(response(rated(4), answer("your_mail", "short_text", text="x")), given)[0]
        == "form_response.answers.1.email"
    )


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"token": None}, "form_response.token"),
        ({"submitted_at": "yesterday"}, "form_response.submitted_at"),
        ({"submitted_at": "2026-03-01T10:00:00"}, "form_response.submitted_at"),
        ({"answers": {}}, "form_response.answers"),
        ({"answers": [None, 3]}, "form_response.answers.1"),
        ({"answers": [{"type": "number", "number": 1}]}, "form_response.answers.0.field"),
        ({"answers": [rated("4")]}, "form_response.answers.0.number"),
        ({"answers": [rated(number=True)]}, "form_response.answers.0.number"),
    ],
)
def test_a_fault_names_its_path(changes: Any, path: str) -> None:  # noqa: ANN401
    assert fault(response(rated(4), **changes))[0] == path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"questions": {}}, "at least 1 item"),
        ({"respondent": {}}, "give one of"),
        ({"respondent": {"participant": "a", "id": "b"}}, "give one of"),
        ({"questions": {"a": {"type": "feedback.given"}}}, "did you mean mentoring.feedback.given.v1"),
        ({"questions": {"a": {"type": "mentoring.feedback.given.v1"}}}, "data.about is required"),
        ({"questions": {"a": FEEDBACK | {"data": {"about": "session", "mood": 1}}}}, "data.mood is not known"),
        ({"questions": {"a": {"type": "mentoring.fit.rated.v1"}}}, "values is required"),
        ({"questions": {"a": {"type": "mentoring.goal.achieved.v1"}}}, "data.goal_id is required"),
        ({"questions": {"a": FEEDBACK | {"scale": {"min": 5, "max": 1}}}}, "min must be below max"),
        ({"questions": {"a": {"type": "mentoring.relationship.erased.v1"}}}, "no type"),
        (
            {"questions": {"a": {"type": "mentoring.reflection.recorded.v1", "scale": {"min": 1, "max": 5}}}},
            "no meaning",
        ),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_settings_are_checked_before_anything_comes(changes: Any, words: str) -> None:  # noqa: ANN401
    with pytest.raises(ValidationError, match=words):
        configured(**changes)


def test_what_people_write_is_cut() -> None:
    value = response(
        answer("why", "long_text", text="secret words"),
        answer("fit", "multiple_choice", choice={"other": "secret words"}),
        answer("tel", "phone_number", phone_number="+43 secret"),
    )

    assert "secret" not in json.dumps(redacted_by(TOOL, value, configured()))


def test_of_choices_only_those_are_kept_that_the_settings_give_a_meaning() -> None:
    known = answer("fit", "multiple_choice", choice={"id": "c1", "ref": "choice-unsure", "label": "secret label"})
    unknown = answer("fit", "multiple_choice", choice={"id": "c2", "ref": "secret ref", "label": "secret label"})
    many = answer("fit", "multiple_choice", choices={"labels": ["No", "secret label"], "other": "secret words"})

    found = [redacted_by(TOOL, response(one), configured()) for one in (known, unknown, many)]

    assert "secret" not in json.dumps(found)
    assert activity_of(found[0]).data == {"fit": "undecided"}
    assert fault(found[1])[0] == "form_response.answers.0.choice"
    assert activity_of(found[2]).data == {"fit": "not_good"}


def test_a_label_may_be_spelt_in_another_way() -> None:
    fit = {"type": "mentoring.fit.rated.v1", "values": {unicodedata.normalize("NFC", "Natürlich"): "good"}}
    given = configured(questions={"fit": fit})
    label = unicodedata.normalize("NFD", " Natürlich\u200b")
    value = response(answer("fit", "multiple_choice", choice={"label": label}))

    assert activity_of(value, given).data == activity_of(redacted_by(TOOL, value, given), given).data == {"fit": "good"}


def test_answers_keep_their_places_when_those_before_them_are_dropped() -> None:
    value = response(answer("why", "long_text", text="secret words"), rated(9), fields=[asked("how_was_it", "nps")])
    value["form_response"]["answers"][1]["number"] = 11

    found = redacted_by(TOOL, value, configured())

    assert found["form_response"]["answers"][0] == {"field": {}}
    assert fault(found)[0] == fault(value)[0] == "form_response.answers.1.number"


def test_of_hidden_fields_only_those_are_kept_that_the_settings_name_and_text_in_them_is_a_digest() -> None:
    value = response(rated(4), fields=[asked("how_was_it", "nps")])
    value["form_response"]["hidden"] |= {"first_name": "Ada", "goal": "to be brave", "pair": "Ada and Bob"}

    found = redacted_by(TOOL, value, configured())["form_response"]["hidden"]

    assert found == {"person": "p-ada", "goal": PSEUDONYM("to be brave"), "pair": PSEUDONYM("Ada and Bob")}


@pytest.mark.parametrize("kind", ["form_response_partial", "form_viewed", "Ada went home"])
def test_of_other_events_nothing_is_kept(kind: str) -> None:
    found = redacted_by(TOOL, response(rated(4)) | {"event_type": kind}, configured())

    assert found in ({"event_type": kind, "form_response": {}}, {"event_type": "cut", "form_response": {}})
    assert "Ada" not in json.dumps(found)


SAMPLES = (
    response(
        rated(4),
        answer("fit", "multiple_choice", choice={"id": "c", "ref": "r", "label": "Yes"}),
        answer("fit", "multiple_choice", choices={"labels": ["No"]}),
        rated(2, "rating", "pulse"),
        answer("progress", "number", number=50),
        answer("due", "date", date="2026-06-30"),
        answer("reached", "yes_no", boolean=True),
        fields=[asked("how_was_it", "opinion_scale", steps=5), asked("pulse", "rating", steps=5)],
    ),
)


@given(mutated(SAMPLES))
def test_whatever_comes_gets_a_verdict(value: Any) -> None:  # noqa: ANN401
    translated(TOOL, value, configured())
    translated(TOOL, value, configured(respondent={"answer": "fit"}, other={"address": "goal"}))
