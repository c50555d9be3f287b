"""The parts of a response that we read.
https://www.typeform.com/developers/webhooks/example-payload/"""

from typing import Annotated

from pydantic import BeforeValidator, Field

from services.ingest.domain.tools.allow_list import AllowList
from services.ingest.domain.tools.leaves import TIME, one_of
from services.ingest.domain.written import composed
from services.ingest.sources.reading import Foreign, Ident, MaybeAddress, MaybeIdent, MaybeText, Zoned
from services.ingest.sources.scale import Scale


def _list(value: object) -> object:
    return [] if value is None else value


def _object(value: object) -> object:
    return {} if value is None else value


def _no_bool(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("must be a number")  # noqa: TRY004 (pydantic reads ValueError)
    return value


WHOLE, PARTIAL = "form_response", "form_response_partial"
NPS, OPINION_SCALE, RATING = "nps", "opinion_scale", "rating"
# What is kept where only the settings know what is read: nothing, until keeping.py has asked them.
BY_SETTINGS = AllowList()
Name = Annotated[MaybeText, BY_SETTINGS]
Names = Annotated[tuple[Name, ...], BeforeValidator(_list)]
Number = Annotated[float, BeforeValidator(_no_bool)]


class Asked(Foreign):
    """The question that is answered."""

    id: Annotated[MaybeIdent, BY_SETTINGS] = ""
    ref: Annotated[MaybeIdent, BY_SETTINGS] = ""
    type: Annotated[MaybeText, one_of(NPS, OPINION_SCALE, RATING)] = ""

    @property
    def names(self) -> tuple[str, ...]:
        """A ref is chosen by people, an id by Typeform."""
        return tuple(filter(None, (self.ref, self.id)))


class Choice(Foreign):
    """`other` is what people wrote, and left out."""

    id: Annotated[MaybeIdent, BY_SETTINGS] = ""
    ref: Annotated[MaybeIdent, BY_SETTINGS] = ""
    label: Name = ""


class Choices(Foreign):
    ids: Names = ()
    refs: Names = ()
    labels: Names = ()


class Questioned(Foreign):
    """As much of an answer as tells whether it is one of ours."""

    field: Asked


class Answer(Questioned):
    type: Annotated[Ident, one_of("number", "boolean", "date", "email", "choice", "choices", "text")]
    number: Number | None = None
    boolean: Annotated[bool | None, Field(strict=True)] = None
    date: Annotated[MaybeText, TIME] = ""
    email: MaybeAddress = ""
    choice: Choice | None = None
    choices: Choices | None = None

    @property
    def names(self) -> frozenset[str]:
        """What settings may call it."""
        found: set[str] = set()
        if self.choice:
            found |= {self.choice.id, self.choice.ref, self.choice.label}
        if self.choices:
            found |= {*self.choices.ids, *self.choices.refs, *self.choices.labels}
        if self.boolean is not None:
            found.add(str(self.boolean).lower())
        if self.number is not None:
            found.add(f"{self.number:.15g}")
        return frozenset(map(composed, found)) - {""}


class Properties(Foreign):
    """Of an opinion scale, a rating or an NPS. Forms leave out what is Typeform's default, webhooks leave out all of
    it: what is missing is unknown. https://www.typeform.com/developers/create/reference/create-form/"""

    steps: Annotated[int, Field(ge=2, le=100)] | None = None
    start_at_one: bool | None = None


class Defined(Asked):
    properties: Annotated[Properties, BeforeValidator(_object)] = Properties()

    @property
    def scale(self) -> Scale | None:
        """The scale as far as the form says it."""
        if self.type == NPS:
            return Scale(min=0, max=10)
        steps, from_one = self.properties.steps, self.properties.start_at_one
        if steps is None or self.type not in {OPINION_SCALE, RATING}:
            return None
        first = 1 if self.type == RATING or from_one else 0
        return Scale(min=first, max=first + steps - 1)


class Definition(Foreign):
    fields: Annotated[tuple[object, ...], BeforeValidator(_list), BY_SETTINGS] = ()


class Response(Foreign):
    token: Ident
    submitted_at: Zoned
    hidden: Annotated[dict[str, object], BeforeValidator(_object), BY_SETTINGS] = Field(default_factory=dict)
    definition: Annotated[Definition, BeforeValidator(_object)] = Definition()
    answers: Annotated[tuple[object, ...], BeforeValidator(_list), BY_SETTINGS] = ()


class Webhook(Foreign):
    event_type: Annotated[Ident, one_of(WHOLE, PARTIAL)]
    form_response: Annotated[object, BY_SETTINGS] = None
