"""How Typeform signs: `Typeform-Signature: sha256=<base64 of the HMAC-SHA256 of the body>`.
https://www.typeform.com/developers/webhooks/secure-your-webhooks/"""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from services.ingest.domain.activity import GenericActivity, Native, Person, Translation
from services.ingest.domain.tools.allow_list import visible
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
from services.ingest.sources.typeform.keeping import keep, take
from services.ingest.sources.typeform.model import (
    MOST_GROUPS,
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
from services.ingest.sources.vocabulary import Circle, Scale, as_one, native_id

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
    return FilledIn(response, answers, _scales(response), fault)


def _scales(response: Response) -> Mapping[str, Scale]:
    """A question defined otherwise than we read has no scale here: only an answer that needs one is at fault."""
    scales: dict[str, Scale] = {}
    fields = response.definition.fields
    for _ in range(MOST_GROUPS + 1):
        defined = [one for value in fields if isinstance(one := read(Defined, value), Defined)]
        for one in defined:
            if one.scale:
                scales |= dict.fromkeys(one.names, one.scale)
        fields = tuple(value for one in defined for value in one.properties.fields)
    return scales


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
            data={**data, **hidden},
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


TOOL = Tool(
    name="typeform",
    verify=verify,
    translate=translate,
    settings=TypeformSettings,
    keep=keep,
    take=take,
)
