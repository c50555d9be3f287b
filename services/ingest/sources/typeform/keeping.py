"""What is stored of a response: the answers to questions that the settings know, as numbers, days and the names of
choices that the settings give a meaning; and the hidden fields that they name. Nothing that anybody wrote."""

from collections.abc import Collection, Iterator

from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.tools.allow_list import AllowList, allow_list
from services.ingest.domain.tools.leaves import ADDRESS, ID, PERSON_ID, Leaf
from services.ingest.domain.verdict import Rejected
from services.ingest.domain.written import composed
from services.ingest.sources.reading import read
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.typeform.response import WHOLE, Answer, Defined, Questioned, Response, Webhook
from services.ingest.sources.typeform.settings import Place, Question, TypeformSettings

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


def _leaves(place: Place) -> Iterator[tuple[str | None, Leaf]]:
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
    whole, known = allow_list(Answer).members, _one_of({*settings.questions, *who})
    members = {"type": whole["type"], "field": AllowList(members={"id": known, "ref": known})}
    if names & who:
        members["email"] = whole["email"]
    return AllowList(members={**members, **dict(_read_of(questions))})


def _read_of(questions: Collection[Question]) -> Iterator[tuple[str, AllowList]]:
    """What of an answer to these questions is looked at."""
    words = frozenset(word for question in questions for word in (*question.values, *question.when))
    whole, named = allow_list(Answer).members, _one_of(words)
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
