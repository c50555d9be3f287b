"""What a response is recorded as, each answer that means something by itself, and what is made of it.

Typeform signs: `Typeform-Signature: sha256=<base64 of the HMAC-SHA256 of the body>`.
https://www.typeform.com/developers/webhooks/secure-your-webhooks/"""

import hmac
from base64 import b64encode
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from services.ingest.domain.activity import GenericActivity, Native, Person, Translation
from services.ingest.domain.cloudevents import Parsed, read_json
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import ADDRESS, ID, PERSON_ID, AllowList, Leaf, allow_list, visible
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.tool import (
    BodyNeeded,
    RawPayloads,
    Received,
    Tool,
    ToolSettings,
    Unverified,
    Verification,
    Verified,
    as_it_came,
    as_records,
    same,
)
from services.ingest.sources.typeform.model import (
    MOST_GROUPS,
    PARTIAL,
    WHOLE,
    Defined,
    Properties,
    Questioned,
    Response,
    TypeformAnswer,
    TypeformPlace,
    TypeformQuestion,
    TypeformSettings,
    Webhook,
    data_of,
    word,
)
from services.ingest.sources.vendor_model import read, within
from services.ingest.sources.vocabulary import Circle, Scale, as_one, native_id, with_numbers


def take(received: Received, settings: ToolSettings, now: datetime) -> RawPayloads | Rejected:
    """Each answer to a question of ours is a record of its own, with those that tell who it is: one that is at fault
    costs no other. The other answers leave their places."""
    assert isinstance(settings, TypeformSettings)
    parsed, who = read_json(received.body), _email_questions(settings)
    whole = parsed.value if isinstance(parsed, Parsed) and isinstance(parsed.value, dict) else {}
    response = whole.get(WHOLE) if whole.get("event_type") == WHOLE else None
    answers = response.get("answers") if isinstance(response, dict) else None
    if not isinstance(response, dict) or not isinstance(answers, list):
        return as_it_came(received, settings, now)
    names = [_names(answer) for answer in answers]
    # Of a question that is answered twice the last answer counts.
    asked = {name: place for place, known in enumerate(names) for name in known & settings.questions.keys()}
    places = sorted(set(asked.values()))
    if len(places) < SEVERAL:
        return as_it_came(received, settings, now)
    told = ([a if at == one or names[at] & who else PLACE for at, a in enumerate(answers)] for one in places)
    return as_records({**whole, WHOLE: {**response, "answers": each}} for each in told)


def _names(answer: object) -> frozenset[str]:
    asked = read(Questioned, answer)
    return frozenset(asked.field.names) if isinstance(asked, Questioned) else frozenset()


SEVERAL = 2
PLACE: Mapping[str, object] = {"field": {}}
# Links that people have copied hold blanks around an id.
HIDDEN_ID = Leaf(ID.name, lambda text, pseudonym: ID.of_text(visible(text), pseudonym), ID.others)
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
    field = question = allow_list(Defined).with_members(id=names, ref=names)
    # A group of questions holds their definitions.
    for _ in range(MOST_GROUPS):
        properties = allow_list(Properties).with_members(fields=AllowList(items=field))
        field = question.with_members(properties=properties)
    hidden = AllowList(members={name: AllowList(leaf=leaf) for name, leaf in _hidden(settings)})
    return allow_list(Response).with_members(
        hidden=hidden, definition=AllowList(members={"fields": AllowList(items=field)})
    )


def _hidden(settings: TypeformSettings) -> Iterator[tuple[str, Leaf]]:
    """Of a field that is two things the last counts."""
    for question in settings.questions.values():
        yield from ((name, HIDDEN_ID) for name in question.hidden.values())
    if settings.relationship:
        yield settings.relationship, HIDDEN_ID
    for place in filter(None, (settings.respondent, settings.other)):
        leaves = ((place.participant, HIDDEN_ID), (place.id, PERSON_ID), (place.address, ADDRESS))
        yield from ((name, leaf) for name, leaf in leaves if name)


def _email_questions(settings: TypeformSettings) -> frozenset[str]:
    places = filter(None, (settings.respondent, settings.other))
    return frozenset(place.answer for place in places if place.answer)


def _answer(answer: object, settings: TypeformSettings) -> AllowList:
    """Of an answer to no question of ours nothing but its place, so that the others keep theirs."""
    names, who = _names(answer), _email_questions(settings)
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
        yield "text", named
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
    return AllowList(leaf=Leaf("a word of the settings", lambda text, _: text if word(text) in words else ""))


# What the links that Typeform suggests say of a hidden field that nobody has filled in.
PLACEHOLDER = "xxxxx"


@dataclass(frozen=True)
class TypeformPlaced:
    """An answer as it came, and where it stood."""

    path: str
    value: object


@dataclass(frozen=True)
class FilledIn:
    """`answers` and `scales` by the ref and by the id of the question. `fault` is the first among what is no answer to
    a question, and so none to ours."""

    response: Response
    answers: Mapping[str, TypeformPlaced]
    scales: Mapping[str, Scale]
    fault: Rejected | None = None

    def hidden(self, name: str) -> str:
        """Empty if the form was not given it."""
        found = self.response.hidden.get(name)
        text = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
        return "" if text == PLACEHOLDER else visible(text)


def filled_in(response: Response) -> FilledIn:
    answers: dict[str, TypeformPlaced] = {}
    fault: Rejected | None = None
    for index, value in enumerate(response.answers):
        answer = read(Questioned, value) if value is not None else None
        if isinstance(answer, Questioned):
            answers |= dict.fromkeys(answer.field.names, TypeformPlaced(f"answers.{index}", value))
        elif answer is not None:
            fault = fault or within(f"answers.{index}", answer)
    # A question defined otherwise than we read has no scale here: only an answer that needs one is at fault.
    scales: dict[str, Scale] = {}
    fields = response.definition.fields
    for _ in range(MOST_GROUPS + 1):
        defined = [one for value in fields if isinstance(one := read(Defined, value), Defined)]
        scales |= {name: one.scale for one in defined if one.scale for name in one.names}
        fields = tuple(value for one in defined for value in one.properties.fields)
    return FilledIn(response, answers, scales, fault)


def circle_of(form: FilledIn, settings: TypeformSettings) -> Circle | Rejected:
    respondent = _person(form, settings.respondent)
    if isinstance(respondent, Rejected):
        return respondent
    other = _person(form, settings.other) if settings.other else None
    if isinstance(other, Rejected):
        return other
    relationship = form.hidden(settings.relationship) if settings.relationship else ""
    if settings.relationship and not relationship:
        return _unknown(settings.relationship)
    return Circle(respondent, (other,) if other else (), relationship)


def _person(form: FilledIn, place: TypeformPlace) -> Person | Rejected:
    if not place.answer:
        name = place.participant or place.address or place.id or ""
        text = form.hidden(name)
        if not text:
            return _unknown(name)
        if place.address:
            return Person(address=text)
        return Person(participant=text) if place.participant else Person(id=text)
    placed = form.answers.get(place.answer)
    if placed is None:
        words = f"the question {place.answer!r}, which tells who it is, is not answered"
        return rejected("invalid", "answers", words)
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
    known = {name: question for name, question in settings.questions.items() if name in form.answers}
    if not known:
        return form.fault or Ignored("no_answer_of_interest")
    circle = circle_of(form, settings)
    if isinstance(circle, Rejected):
        return circle
    return as_one(
        (form.answers[name].path, _answered(form, circle, name, question)) for name, question in known.items()
    )


def _answered(form: FilledIn, circle: Circle, name: str, question: TypeformQuestion) -> Translation:
    answer = read(TypeformAnswer, form.answers[name].value)
    if isinstance(answer, Rejected):
        return answer
    data = data_of(answer, question, form.scales.get(name))
    if isinstance(data, Ignored | Rejected):
        return data
    # What was not passed to the form is left out, and missed in the event by its name.
    hidden = {member: text for member, field in question.hidden.items() if (text := form.hidden(field))}
    token = form.response.token
    return (
        GenericActivity(
            key=f"{token}:{name}",
            time=form.response.submitted_at,
            native=Native("form_response", native_id(token)),
            type=question.type,
            data={**data, **with_numbers(question.type, hidden)},
            by=circle.by,
            people=circle.others,
            relationship=circle.relationship,
            evidence="self_reported",
        ),
    )


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


TOOL = Tool(name="typeform", verify=verify, translate=translate, settings=TypeformSettings, keep=keep, take=take)
