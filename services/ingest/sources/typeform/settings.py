"""What the questions of a form mean, and where a response says who answered."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from services.ingest.domain.written import composed
from services.ingest.sources.scale import MEASURED, Scale
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vocabulary import SayableType, check_members

FIT = "mentoring.fit.rated.v1"
# The member of data that an answer becomes; of other types an answer only says that it happened.
FILLED: Mapping[str, str] = {
    **dict.fromkeys(MEASURED, "rating"),
    "mentoring.goal.progressed.v1": "percent",
    "mentoring.goal.set.v1": "due",
    "mentoring.goal.revised.v1": "due",
    FIT: "fit",
}
Name = Annotated[str, Field(min_length=1, max_length=256)]
# What a choice is called: compared without regard to how its letters are spelt.
Word = Annotated[str, AfterValidator(composed)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(Part):
    """Where a person is found: a hidden field that holds the id of our directory, an address, or an id of this tool in
    our directory; or the question (its ref or id) that is answered with an e-mail address."""

    participant: Name | None = None
    address: Name | None = None
    id: Name | None = None
    answer: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("give one of participant, address, id (names of hidden fields) and answer (a question)")
        return self


class Question(Part):
    """An answer to it says `type`. `data` is fixed, `hidden` takes members of the data from hidden fields. `values`
    says what an answer (label, ref or id of a choice, "true", "false", or a number) stands for. With `when`, only
    these answers say anything. `scale` where neither the form nor `values` says it."""

    type: SayableType
    data: Mapping[str, object] = Field(default_factory=dict)
    hidden: Mapping[str, Name] = Field(default_factory=dict)
    values: Mapping[Word, str | int | float] = Field(default_factory=dict)
    when: tuple[Word, ...] = ()
    scale: Scale | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        filled = FILLED.get(self.type)
        check_members(self.type, {*self.data, *self.hidden}, {filled} if filled else ())
        if self.type == FIT and not self.values:
            raise ValueError("values is required: which answers mean good, undecided and not_good")
        if self.scale and self.type not in MEASURED:
            raise ValueError(f"scale has no meaning in {self.type}")
        return self

    @property
    def filled(self) -> str | None:
        """The member of data that the answer becomes, unless it is fixed."""
        name = FILLED.get(self.type)
        return None if name in self.data or name in self.hidden else name


class TypeformSettings(ToolSettings):
    """`relationship` is a hidden field; without it, it is about the pair of `respondent` and `other`, or the only
    relationship of the respondent. `questions` by the ref or id of the question; all others are nobody's business."""

    respondent: Place
    other: Place | None = None
    relationship: Name | None = None
    questions: Annotated[Mapping[str, Question], Field(min_length=1)]
