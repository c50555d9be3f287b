"""What is recorded of a response: each answer that means something by itself, and nothing of any other."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from services.ingest.domain.cloudevents import Parsed, read_json
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import ADDRESS, ID, PERSON_ID, AllowList, Leaf, allow_list, visible
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.tool import RawPayloads, Received, ToolSettings, as_it_came, as_records
from services.ingest.sources.typeform.model import (
    MOST_GROUPS,
    WHOLE,
    Defined,
    Properties,
    Questioned,
    Response,
    TypeformAnswer,
    TypeformQuestion,
    TypeformSettings,
    Webhook,
    word,
)
from services.ingest.sources.vendor_model import read


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
