"""Typeform responses: their models, the meanings of a form's questions, and how a response identifies its
respondent."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from services.ingest.domain.tools.allow_list import TIME, AllowList, clean_text, one_of
from services.ingest.domain.verdict import Ignored, Rejected, rejected
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import (
    NULL_IS_EMPTY,
    Ident,
    MaybeAddress,
    MaybeIdent,
    MaybeText,
    Number,
    VendorModel,
    Zoned,
)
from services.ingest.sources.vocabulary import (
    MAY_BE_SHARE,
    MEASURED,
    RATED,
    Scale,
    ToolEventType,
    check_members,
    check_scale,
    may_be_share,
    to_catalogue_scale,
)

FIT = "mentoring.fit.rated.v1"
# The member of `data` that an answer fills; for other types an answer only records that it happened.
ANSWER_MEMBERS: Mapping[str, str] = {
    **dict.fromkeys(MEASURED, "rating"),
    "mentoring.goal.progressed.v1": "percent",
    "mentoring.goal.set.v1": "due",
    "mentoring.goal.revised.v1": "due",
    FIT: "fit",
}
SettingName = Annotated[str, Field(min_length=1, max_length=256)]


def word(text: str) -> str:
    """Normalise a choice's name for comparison: Unicode spelling and blanks, such as the one before a French
    exclamation mark."""
    return " ".join(clean_text(text).split())


Word = Annotated[str, AfterValidator(word)]


class TypeformPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TypeformIdentity(TypeformPart):
    """How a person is identified: by a hidden field with a participant id of our directory, an address, or an id of
    this tool in our directory; or by the question (its ref or id) that is answered with an e-mail address."""

    participant: SettingName | None = None
    address: SettingName | None = None
    id: SettingName | None = None
    answer: SettingName | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("give one of participant, address, id (names of hidden fields) and answer (a question)")
        return self


class TypeformQuestion(TypeformPart):
    """An answer becomes an event of `type`. `data` holds constant members, `hidden` maps members of data to hidden
    fields. `values` maps answers (label, ref or id of a choice, "true", "false", or a number) to values. With `when`,
    only these answers count. `scale` is used if neither the form nor `values` gives one."""

    type: ToolEventType
    data: Mapping[str, object] = Field(default_factory=dict)
    hidden: Mapping[str, SettingName] = Field(default_factory=dict)
    values: Mapping[Word, str | int | float] = Field(default_factory=dict)
    when: tuple[Word, ...] = ()
    scale: Scale | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        answer_member = ANSWER_MEMBERS.get(self.type)
        check_members(self.type, {*self.data, *self.hidden}, {answer_member} if answer_member else ())
        if self.type == FIT and not self.values:
            raise ValueError("values is required: which answers mean good, undecided and not_good")
        if self.scale and self.type not in MEASURED:
            raise ValueError(f"scale has no meaning in {self.type}")
        return self

    @property
    def answer_member(self) -> str | None:
        """The member of data that the answer fills, unless it is constant."""
        name = ANSWER_MEMBERS.get(self.type)
        return None if name in self.data or name in self.hidden else name


class TypeformSettings(ToolSettings):
    """`relationship` is a hidden field; without it, the event concerns the pair of `respondent` and `other`, or the
    respondent's only relationship. `questions` is keyed by the question's ref or id; all other questions are
    ignored."""

    respondent: TypeformIdentity
    other: TypeformIdentity | None = None
    relationship: SettingName | None = None
    questions: Annotated[Mapping[str, TypeformQuestion], Field(min_length=1)]


# A list that is null if empty.
LISTED = BeforeValidator(lambda value: [] if value is None else value)
# A group may contain a group of questions shown side by side.
MAX_GROUPS = 2
COMPLETE, PARTIAL = "form_response", "form_response_partial"
NPS, OPINION_SCALE, RATING = "nps", "opinion_scale", "rating"
# A placeholder that keeps nothing: `redact` replaces it by an allow-list made from the settings.
BY_SETTINGS = AllowList()
Name = Annotated[MaybeText, BY_SETTINGS]
Names = Annotated[tuple[Name, ...], LISTED]


class TypeformField(VendorModel):
    """The answered question."""

    id: Annotated[MaybeIdent, BY_SETTINGS] = ""
    ref: Annotated[MaybeIdent, BY_SETTINGS] = ""
    type: Annotated[MaybeText, one_of(NPS, OPINION_SCALE, RATING)] = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Authors of a form choose a ref; Typeform generates an id."""
        return tuple(filter(None, (self.ref, self.id)))


class Choice(VendorModel):
    """`other` is free text and is not read."""

    id: Annotated[MaybeIdent, BY_SETTINGS] = ""
    ref: Annotated[MaybeIdent, BY_SETTINGS] = ""
    label: Name = ""


class Choices(VendorModel):
    ids: Names = ()
    refs: Names = ()
    labels: Names = ()


class Questioned(VendorModel):
    """Enough of an answer to decide whether its question is mapped."""

    field: TypeformField


class TypeformAnswer(Questioned):
    type: Annotated[Ident, one_of("number", "boolean", "date", "email", "choice", "choices", "text")]
    number: Number | None = None
    boolean: Annotated[bool | None, Field(strict=True)] = None
    date: Annotated[MaybeText, TIME] = ""
    email: MaybeAddress = ""
    # The chosen label of a dropdown. For other questions, redaction keeps only labels that the settings name.
    text: Name = ""
    choice: Choice | None = None
    choices: Choices | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names by which settings may refer to the answer."""
        found = {self.text}
        if self.choice:
            found |= {self.choice.id, self.choice.ref, self.choice.label}
        if self.choices:
            found |= {*self.choices.ids, *self.choices.refs, *self.choices.labels}
        if self.boolean is not None:
            found.add(str(self.boolean).lower())
        if self.number is not None:
            found.add(f"{self.number:.15g}")
        return frozenset(map(word, found)) - {""}


class Properties(VendorModel):
    """Properties of an opinion scale, a rating or an NPS. Forms omit Typeform's defaults, webhooks omit all properties:
    a missing one is unknown. https://www.typeform.com/developers/create/reference/create-form/"""

    steps: Annotated[int, Field(ge=2, le=100)] | None = None
    start_at_one: bool | None = None
    # For a group: its own questions.
    fields: Annotated[tuple[object, ...], LISTED, BY_SETTINGS] = ()


class Defined(TypeformField):
    properties: Annotated[Properties, NULL_IS_EMPTY] = Properties()

    @property
    def scale(self) -> Scale | None:
        """The scale, if the form defines it."""
        if self.type == NPS:
            return Scale(min=0, max=10)
        steps, from_one = self.properties.steps, self.properties.start_at_one
        if steps is None or self.type not in {OPINION_SCALE, RATING}:
            return None
        first = 1 if self.type == RATING or from_one else 0
        return Scale(min=first, max=first + steps - 1)


class TypeformDefinition(VendorModel):
    fields: Annotated[tuple[object, ...], LISTED, BY_SETTINGS] = ()


class Response(VendorModel):
    token: Ident
    submitted_at: Zoned
    hidden: Annotated[dict[str, object], NULL_IS_EMPTY, BY_SETTINGS] = Field(default_factory=dict)
    definition: Annotated[TypeformDefinition, NULL_IS_EMPTY] = TypeformDefinition()
    answers: Annotated[tuple[object, ...], LISTED, BY_SETTINGS] = ()


class Webhook(VendorModel):
    event_type: Annotated[Ident, one_of(COMPLETE, PARTIAL)]
    form_response: Annotated[object, BY_SETTINGS] = None


NOT_RELEVANT = Ignored("answer_of_no_interest")
PERCENT = Scale(min=0, max=100)
CATALOGUE_SCALE = Scale(min=1, max=5)


def data_of(
    answer: TypeformAnswer, question: TypeformQuestion, in_form: Scale | None
) -> Mapping[str, object] | Ignored | Rejected:
    """Return the event's data without the members of hidden fields. Paths are relative to the answer."""
    if question.when and not answer.names & set(question.when):
        return NOT_RELEVANT
    answer_member: Mapping[str, object] | Rejected = {}
    if question.answer_member is not None and question.values:
        answer_member = _by_values(answer, question)
    elif question.answer_member == "due":
        answer_member = {"due": answer.date[:10]} if answer.date else {}
    elif question.answer_member is not None and answer.number is not None:
        answer_member = _measurement(answer.number, question, in_form)
    elif question.answer_member is not None and question.type != "mentoring.checkin.answered.v1":
        # For a check-in, the answer alone is worth recording; the rating may be missing.
        words = f"is required: {question.type} needs a number, or values in the settings"
        return rejected("invalid", "number", words)
    return answer_member if isinstance(answer_member, Rejected) else {**question.data, **answer_member}


def _by_values(answer: TypeformAnswer, question: TypeformQuestion) -> Mapping[str, object] | Rejected:
    meanings = {question.values[name] for name in answer.names & question.values.keys()}
    if len(meanings) > 1:
        return rejected("invalid", answer.type, "several choices are selected that map to different values (values)")
    value = next(iter(meanings), None)
    if value is None:
        return rejected("invalid", answer.type, "the settings do not map this answer to a value (values)")
    if isinstance(value, str) or question.type not in MEASURED:
        return {str(question.answer_member): value}
    return _measurement(value, question, CATALOGUE_SCALE if question.type in RATED else None)


def _measurement(number: float, question: TypeformQuestion, in_form: Scale | None) -> Mapping[str, object] | Rejected:
    given = question.scale
    if given and in_form and given != in_form:
        form, ours = (f"{scale.min:g} to {scale.max:g}" for scale in (in_form, given))
        return rejected("invalid", "number", f"the form's scale is {form}, that of the settings {ours}")
    scale = given or in_form or (PERCENT if question.answer_member == "percent" else None)
    if scale is None:
        return rejected("invalid", "number", "neither the form nor the settings define its scale")
    if scale is PERCENT and may_be_share(number):
        return rejected("invalid", "number", MAY_BE_SHARE)
    return check_scale(number, scale, "number") or to_catalogue_scale(question.type, number, scale)
