"""How Typeform signs: `Typeform-Signature: sha256=<base64 of the HMAC-SHA256 of the body>`.
https://www.typeform.com/developers/webhooks/secure-your-webhooks/"""

import hmac
from base64 import b64encode
from collections.abc import Collection, Iterator
from datetime import datetime
from hashlib import sha256

from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import ADDRESS, ID, PERSON_ID, AllowList, Leaf, allow_list
from services.ingest.domain.verdict import Rejected
from services.ingest.domain.written import composed
from services.ingest.sources.tool import Tool, ToolSettings
from services.ingest.sources.typeform.model import (
    WHOLE,
    Defined,
    Questioned,
    Response,
    TypeformAnswer,
    TypeformPlace,
    TypeformQuestion,
    TypeformSettings,
    Webhook,
)
from services.ingest.sources.typeform.translation import translate
from services.ingest.sources.vendor_model import read
from services.ingest.sources.verification import BodyNeeded, Received, Refused, Verification, Verified, same

PREFIX = "sha256="


def verify(received: Received, secret: str, _now: datetime) -> Verification:
    """Typeform signs no time: a request that is played back is a repeat, and those are harmless."""
    given = received.headers.get("typeform-signature")
    if not given:
        return Refused("the header Typeform-Signature is missing: set a secret for the webhook")
    if received.is_head:
        return BodyNeeded()
    digest = b64encode(hmac.digest(secret.encode(), received.body, sha256)).decode()
    if secret and same(given.strip(), PREFIX + digest):
        return Verified()
    return Refused("the header Typeform-Signature is not that of this body and this connection's secret")


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
