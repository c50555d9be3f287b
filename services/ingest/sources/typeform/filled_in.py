"""A response, its answers found by the names of their questions."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.ingest.domain.tools.said import Native, Statement
from services.ingest.domain.verdict import Rejected
from services.ingest.sources.reading import read, within
from services.ingest.sources.scale import Scale
from services.ingest.sources.typeform.response import Defined, Questioned, Response
from services.ingest.sources.vocabulary import native_id

# What the links that Typeform suggests say of a hidden field that nobody has filled in.
PLACEHOLDER = "xxxxx"


@dataclass(frozen=True)
class Placed:
    """An answer as it came, and where it stood."""

    path: str
    value: object


@dataclass(frozen=True)
class FilledIn:
    """`answers` and `scales` by the ref and by the id of the question."""

    response: Response
    answers: Mapping[str, Placed]
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
    answers: dict[str, Placed] = {}
    for index, value in enumerate(response.answers):
        path = f"answers.{index}"
        answer = read(Questioned, value)
        if isinstance(answer, Rejected):
            return within(path, answer)
        answers |= dict.fromkeys(answer.field.names, Placed(path, value))
    return FilledIn(response, answers, _scales(response))


def _scales(response: Response) -> Mapping[str, Scale]:
    """A question defined otherwise than we read has no scale here: only an answer that needs one is at fault."""
    scales: dict[str, Scale] = {}
    for value in response.definition.fields:
        defined = read(Defined, value)
        if not isinstance(defined, Rejected) and defined.scale:
            scales |= dict.fromkeys(defined.names, defined.scale)
    return scales
