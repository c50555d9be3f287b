"""What actions mean. The defaults are those that mean the same everywhere."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.ingest.sources.expression import Expression
from services.ingest.sources.scale import Scale
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vocabulary import SayableType, check_members

# What an event itself says.
DERIVED = frozenset({"session_id", "started_at", "goal_id", "request_id", "rating", "percent"})
Action = Annotated[str, Field(pattern=r"^[A-Za-z]+\.[A-Za-z]+$")]


class Meaning(BaseModel):
    """`data` is fixed. With `object` (the id or type of an entity, or of the thread, forum, course or group that it
    belongs to) the action means this only there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: SayableType
    data: Mapping[str, object] = Field(default_factory=dict)
    object: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        check_members(self.type, self.data, DERIVED)
        return self


WRITTEN = (Meaning(type="mentoring.message.sent.v1", data={"channel": "caliper"}),)
PREPARED = (Meaning(type="mentoring.preparation.completed.v1", data={"kind": "training"}),)
RATED = (Meaning(type="mentoring.feedback.given.v1", data={"about": "relationship"}),)
DEFAULTS: Mapping[str, tuple[Meaning, ...]] = {
    "MessageEvent.Posted": WRITTEN,
    "AssignableEvent.Completed": PREPARED,
    "AssessmentEvent.Submitted": PREPARED,
    "GradeEvent.Graded": RATED,
    "FeedbackEvent.Ranked": RATED,
    "AnnotationEvent.Shared": (Meaning(type="mentoring.resource.shared.v1"),),
}


class CaliperSettings(ToolSettings):
    """`events` (`MessageEvent.Posted`: [...]) replaces the default of each that it names; an empty list switches it
    off. The expressions find, in a person, the id in our directory and the address; in an event, more people (an IRI,
    an entity, or a list of them) and the relationship. `scale` is that of scores that come without `maxScore`."""

    events: Mapping[Action, tuple[Meaning, ...]] = Field(default_factory=dict)
    participant: Expression | None = None
    address: Expression | None = None
    people: Expression | None = None
    relationship: Expression | None = None
    scale: Scale | None = None

    @property
    def actions(self) -> frozenset[str]:
        """All that may mean something."""
        return frozenset((*DEFAULTS, *self.events))

    @property
    def objects(self) -> frozenset[str]:
        """The ids and types of entities at which an action has a meaning of its own."""
        meanings = (meant for meanings in self.events.values() for meant in meanings)
        return frozenset(meant.object for meant in meanings if meant.object is not None)

    def meaning(self, action: str, objects: frozenset[str]) -> Meaning | None:
        """The first that fits the object."""
        meanings = self.events.get(action, DEFAULTS.get(action, ()))
        return next((meant for meant in meanings if meant.object is None or meant.object in objects), None)
