"""How Typeform signs: `Typeform-Signature: sha256=<base64 of the HMAC-SHA256 of the body>`.
https://www.typeform.com/developers/webhooks/secure-your-webhooks/"""

import hmac
from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from services.ingest.domain.activity import GenericActivity, Native, Person, Statement, Translation
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import ADDRESS, ID, PERSON_ID, AllowList, Leaf, allow_list, composed
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.tool import (
    BodyNeeded,
    Received,
    Tool,
    ToolSettings,
    Unverified,
    Verification,
    Verified,
    same,
)
from services.ingest.sources.typeform.model import (
    PARTIAL,
    WHOLE,
    Defined,
    Questioned,
    Response,
    TypeformAnswer,
    TypeformPlace,
    TypeformQuestion,
    TypeformSettings,
    Webhook,
    data_of,
)
from services.ingest.sources.vendor_model import read, within
from services.ingest.sources.vocabulary import Scale, as_one, native_id

# What the links that Typeform suggests say of a hidden field that nobody has filled in.
PLACEHOLDER = "xxxxx"


@dataclass(frozen=True)
class TypeformPlaced:
    """An answer as it came, and where it stood."""

    path: str
    value: object


@dataclass(frozen=True)
class FilledIn:
    """`answers` and `scales` by the ref and by the id of the question."""

    response: Response
    answers: Mapping[str, TypeformPlaced]
    scales: Mapping[str, Scale]

    def hidden(self, name: str) -> str:
        """Empty if the form was not given it."""
        found = self.response.hidden.get(name)
        text = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
        return "" if text == PLACEHOLDER else text

    def statement(self, question: str) -> Statement:
        token = self.response.token
        return Statement(f"{token}:{question}", self.response.submitted_at, Native("form_response", native_id(token)))


def filled_in(response: Response) -> FilledIn | Rejected:
    answers: dict[str, TypeformPlaced] = {}
    for index, value in enumerate(response.answers):
        path = f"answers.{index}"
        answer = read(Questioned, value)
        if isinstance(answer, Rejected):
            return within(path, answer)
        answers |= dict.fromkeys(answer.field.names, TypeformPlaced(path, value))
    return FilledIn(response, answers, _scales(response))


def _scales(response: Response) -> Mapping[str, Scale]:
    """A question defined otherwise than we read has no scale here: only an answer that needs one is at fault."""
    scales: dict[str, Scale] = {}
    for value in response.definition.fields:
        defined = read(Defined, value)
        if not isinstance(defined, Rejected) and defined.scale:
            scales |= dict.fromkeys(defined.names, defined.scale)
    return scales


@dataclass(frozen=True)
class People:
    respondent: Person
    others: tuple[Person, ...]
    relationship: str

    def told(self, statement: Statement, name: str, data: Mapping[str, object]) -> GenericActivity:
        return GenericActivity(
            key=statement.key,
            time=statement.time,
            native=statement.native,
            type=name,
            data=data,
            by=self.respondent,
            people=self.others,
            relationship=self.relationship,
            evidence="self_reported",
        )


def people_of(form: FilledIn, settings: TypeformSettings) -> People | Rejected:
    respondent = _person(form, settings.respondent)
    if isinstance(respondent, Rejected):
        return respondent
    other = _person(form, settings.other) if settings.other else None
    if isinstance(other, Rejected):
        return other
    relationship = form.hidden(settings.relationship) if settings.relationship else ""
    if settings.relationship and not relationship:
        return _unknown(settings.relationship)
    return People(respondent, (other,) if other else (), relationship)


def _person(form: FilledIn, place: TypeformPlace) -> Person | Rejected:
    if place.answer:
        return _by_answer(form, place.answer)
    name = place.participant or place.address or place.id or ""
    text = form.hidden(name)
    if not text:
        return _unknown(name)
    if place.address:
        return Person(address=text)
    return Person(participant=text) if place.participant else Person(id=text)


def _by_answer(form: FilledIn, question: str) -> Person | Rejected:
    placed = form.answers.get(question)
    if placed is None:
        return rejected("invalid", "answers", f"the question {question!r}, which tells who it is, is not answered")
    answer = read(TypeformAnswer, placed.value)
    if isinstance(answer, Rejected):
        return within(placed.path, answer)
    if not answer.email:
        return rejected("invalid", f"{placed.path}.email", "is required: the settings say that it tells who it is")
    return Person(address=answer.email)


def _unknown(name: str) -> Rejected:
    return rejected("invalid", f"hidden.{name}", "is required: the settings say that it tells whom this is about")


def translate(value: object, settings: ToolSettings) -> Translation:
    assert isinstance(settings, TypeformSettings)
    webhook = read(Webhook, value)
    if isinstance(webhook, Rejected):
        return webhook
    if webhook.event_type != WHOLE:
        return Ignored("partial" if webhook.event_type == PARTIAL else "other_event")
    response = read(Response, webhook.form_response)
    said = response if isinstance(response, Rejected) else _said(response, settings)
    return within(WHOLE, said) if isinstance(said, Rejected) else said


def _said(response: Response, settings: TypeformSettings) -> Translation:
    form = filled_in(response)
    if isinstance(form, Rejected):
        return form
    known = [name for name in settings.questions if name in form.answers]
    if not known:
        return Ignored("no_answer_of_interest")
    people = people_of(form, settings)
    if isinstance(people, Rejected):
        return people
    sayings = _Sayings(form, people)
    return as_one((form.answers[name].path, sayings.of(name, settings.questions[name])) for name in known)


@dataclass(frozen=True)
class _Sayings:
    form: FilledIn
    people: People

    def of(self, name: str, question: TypeformQuestion) -> Translation:
        answer = read(TypeformAnswer, self.form.answers[name].value)
        if isinstance(answer, Rejected):
            return answer
        data = data_of(answer, question, self.form.scales.get(name))
        if isinstance(data, Ignored | Rejected):
            return data
        hidden = {member: self.form.hidden(field) for member, field in question.hidden.items()}
        return (self.people.told(self.form.statement(name), question.type, {**data, **_known(hidden)}),)


def _known(hidden: Mapping[str, str]) -> Mapping[str, str]:
    """What was not passed to the form is left out, and missed in the event by its name."""
    return {member: text for member, text in hidden.items() if text}


PREFIX = "sha256="


def verify(received: Received, secret: str, _now: datetime) -> Verification:
    """Typeform signs no time: a request that is played back is a repeat, and those are harmless."""
    given = received.headers.get("typeform-signature")
    if not given:
        return Unverified("the header Typeform-Signature is missing: set a secret for the webhook")
    if received.is_head:
        return BodyNeeded()
    digest = b64encode(hmac.digest(secret.encode(), received.body, sha256)).decode()
    if secret and same(given.strip(), PREFIX + digest):
        return Verified()
    return Unverified("the header Typeform-Signature is not that of this body and this connection's secret")


NO_ANSWER = AllowList(members={"field": AllowList()})


def keep(payload: object, settings: ToolSettings, pseudonym: Pseudonym) -> object:
    """Of a partial response, or of any other event, only that it is one."""
    assert isinstance(settings, TypeformSettings)
    webhook, frame = read(Webhook, payload), allow_list(Webhook)
    if isinstance(webhook, Rejected) or webhook.event_type != WHOLE or not isinstance(webhook.form_response, dict):
        return frame.kept(payload, pseudonym)
    response = _response(settings).kept(webhook.form_response, pseudonym)
    answers = webhook.form_response.get("answers")
    if isinstance(response, dict) and isinstance(answers, list):
        response["answers"] = [_answer(answer, settings).kept(answer, pseudonym) for answer in answers]
    return {"event_type": WHOLE, WHOLE: response}


def _response(settings: TypeformSettings) -> AllowList:
    names = _one_of({*settings.questions, *_email_questions(settings)})
    field = allow_list(Defined).with_members(id=names, ref=names)
    hidden = AllowList(members={name: AllowList(leaf=leaf) for name, leaf in _hidden(settings)})
    return allow_list(Response).with_members(
        hidden=hidden, definition=AllowList(members={"fields": AllowList(items=field)})
    )


def _hidden(settings: TypeformSettings) -> Iterator[tuple[str, Leaf]]:
    """Of a field that is two things the last counts."""
    for question in settings.questions.values():
        yield from ((name, ID) for name in question.hidden.values())
    if settings.relationship:
        yield settings.relationship, ID
    for place in filter(None, (settings.respondent, settings.other)):
        yield from ((name, leaf) for name, leaf in _leaves(place) if name)


def _leaves(place: TypeformPlace) -> Iterator[tuple[str | None, Leaf]]:
    yield place.participant, ID
    yield place.id, PERSON_ID
    yield place.address, ADDRESS


def _email_questions(settings: TypeformSettings) -> frozenset[str]:
    places = filter(None, (settings.respondent, settings.other))
    return frozenset(place.answer for place in places if place.answer)


def _answer(answer: object, settings: TypeformSettings) -> AllowList:
    """Of an answer to no question of ours nothing but its place, so that the others keep theirs."""
    asked, who = read(Questioned, answer), _email_questions(settings)
    names = set(asked.field.names) if isinstance(asked, Questioned) else set()
    questions = [question for name, question in settings.questions.items() if name in names]
    if not (questions or names & who):
        return NO_ANSWER
    whole, known = allow_list(TypeformAnswer).members, _one_of({*settings.questions, *who})
    members = {"type": whole["type"], "field": AllowList(members={"id": known, "ref": known})}
    if names & who:
        members["email"] = whole["email"]
    return AllowList(members={**members, **dict(_read_of(questions))})


def _read_of(questions: Collection[TypeformQuestion]) -> Iterator[tuple[str, AllowList]]:
    """What of an answer to these questions is looked at."""
    words = frozenset(word for question in questions for word in (*question.values, *question.when))
    whole, named = allow_list(TypeformAnswer).members, _one_of(words)
    if words:
        yield "choice", AllowList(members=dict.fromkeys(("id", "ref", "label"), named))
        yield "choices", AllowList(members=dict.fromkeys(("ids", "refs", "labels"), AllowList(items=named)))
    if words & {"true", "false"}:
        yield "boolean", whole["boolean"]
    if words or any(question.filled not in {None, "due"} for question in questions):
        yield "number", whole["number"]
    if any(question.filled == "due" for question in questions):
        yield "date", whole["date"]


def _one_of(words: Collection[str]) -> AllowList:
    """The settings' own words. Any other leaves nothing behind that settings could mean something by."""
    return AllowList(leaf=Leaf("a word of the settings", lambda text, _: text if composed(text) in words else ""))


TOOL = Tool(
    name="typeform",
    verify=verify,
    translate=translate,
    settings=TypeformSettings,
    keep=keep,
)
