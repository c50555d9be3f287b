"""The Typeform webhook: verification, splitting responses into one record per mapped answer, redaction and translation.

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
    constant_time_equal,
    payload_per_value,
    single_payload,
)
from services.ingest.sources.typeform.model import (
    COMPLETE,
    MAX_GROUPS,
    PARTIAL,
    Defined,
    Properties,
    Questioned,
    Response,
    TypeformAnswer,
    TypeformIdentity,
    TypeformQuestion,
    TypeformSettings,
    Webhook,
    data_of,
    word,
)
from services.ingest.sources.vendor_model import read, within
from services.ingest.sources.vocabulary import Parties, Scale, combine, parse_numbers, truncated_native_id


def split(received: Received, settings: ToolSettings, now: datetime) -> RawPayloads | Rejected:
    """Make each answer to a mapped question its own record, together with the answers that identify the respondent: an
    invalid answer does not affect the others. The remaining answers become placeholders."""
    assert isinstance(settings, TypeformSettings)
    parsed, identifying = read_json(received.body), _email_questions(settings)
    body = parsed.value if isinstance(parsed, Parsed) and isinstance(parsed.value, dict) else {}
    response = body.get(COMPLETE) if body.get("event_type") == COMPLETE else None
    answers = response.get("answers") if isinstance(response, dict) else None
    if not isinstance(response, dict) or not isinstance(answers, list):
        return single_payload(received, settings, now)
    names = [_names(answer) for answer in answers]
    # The last answer to a question counts.
    asked = {name: index for index, own in enumerate(names) for name in own & settings.questions.keys()}
    indexes = sorted(set(asked.values()))
    if len(indexes) < SEVERAL:
        return single_payload(received, settings, now)
    omitted = (
        [a if at == one or names[at] & identifying else OMITTED_ANSWER for at, a in enumerate(answers)]
        for one in indexes
    )
    return payload_per_value({**body, COMPLETE: {**response, "answers": each}} for each in omitted)


def _names(answer: object) -> frozenset[str]:
    asked = read(Questioned, answer)
    return frozenset(asked.field.names) if isinstance(asked, Questioned) else frozenset()


SEVERAL = 2
OMITTED_ANSWER: Mapping[str, object] = {"field": {}}
# Copied links contain blanks around an id.
HIDDEN_ID = Leaf(ID.name, lambda text, pseudonym: ID.of_text(visible(text), pseudonym), ID.others)
NO_ANSWER = AllowList(members={"field": AllowList()})


def redact(payload: object, settings: ToolSettings, pseudonym: Pseudonym) -> object:
    """Of a partial response, or any other event, keep only its type."""
    assert isinstance(settings, TypeformSettings)
    webhook, frame = read(Webhook, payload), allow_list(Webhook)
    if isinstance(webhook, Rejected) or webhook.event_type != COMPLETE or not isinstance(webhook.form_response, dict):
        return frame.redact(payload, pseudonym)
    response = _response(settings).redact(webhook.form_response, pseudonym)
    answers = webhook.form_response.get("answers")
    if isinstance(response, dict) and isinstance(answers, list):
        response["answers"] = [_answer(answer, settings).redact(answer, pseudonym) for answer in answers]
    return {"event_type": COMPLETE, COMPLETE: response}


def _response(settings: TypeformSettings) -> AllowList:
    names = _one_of({*settings.questions, *_email_questions(settings)})
    field = question = allow_list(Defined).with_members(id=names, ref=names)
    # A group of questions contains their definitions.
    for _ in range(MAX_GROUPS):
        properties = allow_list(Properties).with_members(fields=AllowList(items=field))
        field = question.with_members(properties=properties)
    hidden = AllowList(members={name: AllowList(leaf=leaf) for name, leaf in _hidden_leaves(settings)})
    return allow_list(Response).with_members(
        hidden=hidden, definition=AllowList(members={"fields": AllowList(items=field)})
    )


def _hidden_leaves(settings: TypeformSettings) -> Iterator[tuple[str, Leaf]]:
    """Yield the leaf of each hidden field; for a field with several uses the last counts."""
    for question in settings.questions.values():
        yield from ((name, HIDDEN_ID) for name in question.hidden.values())
    if settings.relationship:
        yield settings.relationship, HIDDEN_ID
    for identity in filter(None, (settings.respondent, settings.other)):
        leaves = ((identity.participant, HIDDEN_ID), (identity.id, PERSON_ID), (identity.address, ADDRESS))
        yield from ((name, leaf) for name, leaf in leaves if name)


def _email_questions(settings: TypeformSettings) -> frozenset[str]:
    indexes = filter(None, (settings.respondent, settings.other))
    return frozenset(identity.answer for identity in indexes if identity.answer)


def _answer(answer: object, settings: TypeformSettings) -> AllowList:
    """An answer to an unmapped question keeps only its index, so that other answers keep theirs."""
    names, identifying = _names(answer), _email_questions(settings)
    questions = [question for name, question in settings.questions.items() if name in names]
    if not (questions or names & identifying):
        return NO_ANSWER
    fields, ids = allow_list(TypeformAnswer).members, _one_of({*settings.questions, *identifying})
    members = {"type": fields["type"], "field": AllowList(members={"id": ids, "ref": ids})}
    if names & identifying:
        members["email"] = fields["email"]
    return AllowList(members={**members, **dict(_answer_members(questions))})


def _answer_members(questions: Collection[TypeformQuestion]) -> Iterator[tuple[str, AllowList]]:
    """Yield the members that answers to these questions are read from."""
    words = frozenset(word for question in questions for word in (*question.values, *question.when))
    fields, named = allow_list(TypeformAnswer).members, _one_of(words)
    if words:
        yield "text", named
        yield "choice", AllowList(members=dict.fromkeys(("id", "ref", "label"), named))
        yield "choices", AllowList(members=dict.fromkeys(("ids", "refs", "labels"), AllowList(items=named)))
    if words & {"true", "false"}:
        yield "boolean", fields["boolean"]
    if words or any(question.answer_member not in {None, "due"} for question in questions):
        yield "number", fields["number"]
    if any(question.answer_member == "due" for question in questions):
        yield "date", fields["date"]


def _one_of(words: Collection[str]) -> AllowList:
    """Keep words that the settings use; any other becomes empty, which settings cannot match."""
    return AllowList(leaf=Leaf("a word of the settings", lambda text, _: text if word(text) in words else ""))


# Typeform's placeholder for a hidden field in suggested links.
PLACEHOLDER = "xxxxx"


@dataclass(frozen=True)
class PositionedAnswer:
    """An unparsed answer and its path."""

    path: str
    value: object


@dataclass(frozen=True)
class IndexedResponse:
    """A response with lookups: `answers` and `scales` by the question's ref and by its id. `fault` is the first entry
    that is no answer to a question."""

    response: Response
    answers: Mapping[str, PositionedAnswer]
    scales: Mapping[str, Scale]
    fault: Rejected | None = None

    def hidden(self, name: str) -> str:
        """Return "" if the form did not receive the field."""
        found = self.response.hidden.get(name)
        text = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
        return "" if text == PLACEHOLDER else visible(text)


def index_response(response: Response) -> IndexedResponse:
    answers: dict[str, PositionedAnswer] = {}
    fault: Rejected | None = None
    for index, value in enumerate(response.answers):
        answer = read(Questioned, value) if value is not None else None
        if isinstance(answer, Questioned):
            answers |= dict.fromkeys(answer.field.names, PositionedAnswer(f"answers.{index}", value))
        elif answer is not None:
            fault = fault or within(f"answers.{index}", answer)
    # A question whose definition cannot be read has no scale: only an answer that needs one is at fault.
    scales: dict[str, Scale] = {}
    fields = response.definition.fields
    for _ in range(MAX_GROUPS + 1):
        defined = [one for value in fields if isinstance(one := read(Defined, value), Defined)]
        scales |= {name: one.scale for one in defined if one.scale for name in one.names}
        fields = tuple(value for one in defined for value in one.properties.fields)
    return IndexedResponse(response, answers, scales, fault)


def parties_of(form: IndexedResponse, settings: TypeformSettings) -> Parties | Rejected:
    respondent = _person(form, settings.respondent)
    if isinstance(respondent, Rejected):
        return respondent
    other = _person(form, settings.other) if settings.other else None
    if isinstance(other, Rejected):
        return other
    relationship = form.hidden(settings.relationship) if settings.relationship else ""
    if settings.relationship and not relationship:
        return _reject_missing_hidden(settings.relationship)
    return Parties(respondent, (other,) if other else (), relationship)


def _person(form: IndexedResponse, identity: TypeformIdentity) -> Person | Rejected:
    if not identity.answer:
        name = identity.participant or identity.address or identity.id or ""
        text = form.hidden(name)
        if not text:
            return _reject_missing_hidden(name)
        if identity.address:
            return Person(address=text)
        return Person(participant=text) if identity.participant else Person(id=text)
    positioned = form.answers.get(identity.answer)
    if positioned is None:
        words = f"the question {identity.answer!r}, which identifies the person, is not answered"
        return rejected("invalid", "answers", words)
    answer = read(TypeformAnswer, positioned.value)
    if isinstance(answer, Rejected):
        return within(positioned.path, answer)
    if not answer.email:
        return rejected("invalid", f"{positioned.path}.email", "is required: the settings identify the person by it")
    return Person(address=answer.email)


def _reject_missing_hidden(name: str) -> Rejected:
    return rejected("invalid", f"hidden.{name}", "is required: the settings take the subject from it")


def translate(value: object, settings: ToolSettings) -> Translation:
    assert isinstance(settings, TypeformSettings)
    webhook = read(Webhook, value)
    if isinstance(webhook, Rejected):
        return webhook
    if webhook.event_type != COMPLETE:
        return Ignored("partial" if webhook.event_type == PARTIAL else "other_event")
    response = read(Response, webhook.form_response)
    translation = response if isinstance(response, Rejected) else _translate_response(response, settings)
    return within(COMPLETE, translation) if isinstance(translation, Rejected) else translation


def _translate_response(response: Response, settings: TypeformSettings) -> Translation:
    form = index_response(response)
    answered = {name: question for name, question in settings.questions.items() if name in form.answers}
    if not answered:
        return form.fault or Ignored("no_answer_of_interest")
    parties = parties_of(form, settings)
    if isinstance(parties, Rejected):
        return parties
    return combine(
        (form.answers[name].path, _translate_answer(form, parties, name, question))
        for name, question in answered.items()
    )


def _translate_answer(form: IndexedResponse, parties: Parties, name: str, question: TypeformQuestion) -> Translation:
    answer = read(TypeformAnswer, form.answers[name].value)
    if isinstance(answer, Rejected):
        return answer
    data = data_of(answer, question, form.scales.get(name))
    if isinstance(data, Ignored | Rejected):
        return data
    # A field that the form did not receive is left out; the event's validation then reports the missing member.
    hidden = {member: text for member, field in question.hidden.items() if (text := form.hidden(field))}
    token = form.response.token
    return (
        GenericActivity(
            key=f"{token}:{name}",
            time=form.response.submitted_at,
            native=Native("form_response", truncated_native_id(token)),
            type=question.type,
            data={**data, **parse_numbers(question.type, hidden)},
            by=parties.by,
            people=parties.others,
            relationship=parties.relationship,
            evidence="self_reported",
        ),
    )


PREFIX = "sha256="


def verify(received: Received, secret: str, _now: datetime) -> Verification:
    """Typeform signs no timestamp: a replayed request is a duplicate, which is harmless."""
    given = received.headers.get("typeform-signature")
    if not given:
        return Unverified("the header Typeform-Signature is missing: set a secret for the webhook")
    if received.is_head:
        return BodyNeeded()
    digest = b64encode(hmac.digest(secret.encode(), received.body, sha256)).decode()
    if secret and constant_time_equal(given.strip(), PREFIX + digest):
        return Verified()
    return Unverified("the header Typeform-Signature is not that of this body and this connection's secret")


TOOL = Tool(name="typeform", verify=verify, translate=translate, settings=TypeformSettings, redact=redact, split=split)
