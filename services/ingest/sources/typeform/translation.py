"""What a response says: one event for each answer that the settings know."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.ingest.domain.tools.said import Translation
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.reading import read, within
from services.ingest.sources.several import as_one
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.typeform.answers import data_of
from services.ingest.sources.typeform.filled_in import FilledIn, filled_in
from services.ingest.sources.typeform.respondents import People, people_of
from services.ingest.sources.typeform.response import PARTIAL, WHOLE, Answer, Response, Webhook
from services.ingest.sources.typeform.settings import Question, TypeformSettings


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

    def of(self, name: str, question: Question) -> Translation:
        answer = read(Answer, self.form.answers[name].value)
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
