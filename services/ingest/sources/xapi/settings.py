"""What verbs mean. The defaults are the verbs of ADL's vocabulary and of the registry that people use for mentoring."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.ingest.sources.scale import Scale
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vocabulary import SayableType, check_members

ADL = "http://adlnet.gov/expapi/verbs/"
STREAMS = "http://activitystrea.ms/schema/1.0/"
REGISTRY = "http://id.tincanapi.com/verb/"
VOIDED = f"{ADL}voided"
# What a statement itself says of an event.
DERIVED = frozenset({"session_id", "started_at", "goal_id", "request_id", "rating", "percent"})
Iri = Annotated[str, Field(min_length=1, max_length=2000)]


class Meaning(BaseModel):
    """`data` is fixed. With `activity` (the id or type of an activity, or of one to which it belongs) the verb means
    this only there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: SayableType
    data: Mapping[str, object] = Field(default_factory=dict)
    activity: Iri | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        check_members(self.type, self.data, DERIVED)
        return self


HELD = (Meaning(type="mentoring.session.held.v1"),)
PREPARED = (Meaning(type="mentoring.preparation.completed.v1", data={"kind": "training"}),)
RATED = (Meaning(type="mentoring.feedback.given.v1", data={"about": "session"}),)
WRITTEN = (Meaning(type="mentoring.message.sent.v1", data={"channel": "xapi"}),)
SHARED = (Meaning(type="mentoring.resource.shared.v1"),)
DEFAULTS: Mapping[str, tuple[Meaning, ...]] = {
    f"{ADL}attended": HELD,
    f"{STREAMS}attend": HELD,
    f"{REGISTRY}mentored": HELD,
    f"{ADL}completed": PREPARED,
    f"{STREAMS}complete": PREPARED,
    f"{ADL}scored": RATED,
    f"{REGISTRY}rated": RATED,
    f"{ADL}commented": WRITTEN,
    f"{ADL}responded": WRITTEN,
    f"{ADL}shared": SHARED,
    f"{STREAMS}share": SHARED,
    f"{ADL}progressed": (Meaning(type="mentoring.goal.progressed.v1"),),
}


class XapiSettings(ToolSettings):
    """`verbs` replaces the default of each verb that it names; an empty list switches it off. Accounts on
    `directory_home` are named by the ids of our directory. `relationship` is the context extension that holds the id
    of the relationship. `scale` is that of raw scores that come without min and max, `scaled_from` where the scaled
    ones begin: -1 as in the standard, or 0 as many send them. `timestamp` is when a session with a duration ended or,
    for systems that say so, when it began."""

    verbs: Mapping[Iri, tuple[Meaning, ...]] = Field(default_factory=dict)
    directory_home: str = ""
    relationship: Iri | None = None
    scale: Scale | None = None
    scaled_from: Literal[-1, 0] = -1
    timestamp: Literal["end", "start"] = "end"

    @property
    def activities(self) -> frozenset[str]:
        """The ids and types of activities at which a verb has a meaning of its own."""
        meanings = (meant for meanings in self.verbs.values() for meant in meanings)
        return frozenset(meant.activity for meant in meanings if meant.activity is not None)

    def meaning(self, verb: str, activities: frozenset[str]) -> Meaning | None:
        """The first that fits what the verb was done to."""
        meanings = self.verbs.get(verb, DEFAULTS.get(verb, ()))
        return next((meant for meant in meanings if meant.activity is None or meant.activity in activities), None)
