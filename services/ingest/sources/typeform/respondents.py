"""Who answered, and about whom."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.ingest.domain.tools.said import Person, Statement, Told
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.reading import read, within
from services.ingest.sources.typeform.filled_in import FilledIn
from services.ingest.sources.typeform.response import Answer
from services.ingest.sources.typeform.settings import Place, TypeformSettings


@dataclass(frozen=True)
class People:
    respondent: Person
    others: tuple[Person, ...]
    relationship: str

    def told(self, statement: Statement, name: str, data: Mapping[str, object]) -> Told:
        return Told(
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


def _person(form: FilledIn, place: Place) -> Person | Rejected:
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
    answer = read(Answer, placed.value)
    if isinstance(answer, Rejected):
        return within(placed.path, answer)
    if not answer.email:
        return rejected("invalid", f"{placed.path}.email", "is required: the settings say that it tells who it is")
    return Person(address=answer.email)


def _unknown(name: str) -> Rejected:
    return rejected("invalid", f"hidden.{name}", "is required: the settings say that it tells whom this is about")
