"""Shared by xAPI and Caliper: the meanings that settings give to actions, why some actions concern no pair, and which
activity types belong to courses or to mentoring."""

import re
from collections.abc import Iterable, Mapping
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.ingest.domain.verdict import Ignored
from services.ingest.sources.vocabulary import SayableType, check_members, members

OF_A_COURSE, NOBODY_ADDRESSED = Ignored("of_a_course_or_forum"), Ignored("nobody_addressed")
HELD, PREPARED = "mentoring.session.held.v1", "mentoring.preparation.completed.v1"
MESSAGE_SENT, SHARED = "mentoring.message.sent.v1", "mentoring.resource.shared.v1"
# Messages and shared resources count as contact of a pair only if they are addressed to somebody.
CONTACTS = frozenset({MESSAGE_SENT, SHARED})
# Members of `data` that come from the record itself.
DERIVED = frozenset({"session_id", "started_at", "goal_id", "request_id", "rating", "percent"})


class Meaning(BaseModel):
    """What an action means. `data` holds constant members. With `place` (id or type of the action's object, or of the
    object's parent), the meaning applies only there; xAPI calls it `activity`, Caliper `object`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: SayableType
    data: Mapping[str, object] = Field(default_factory=dict)
    place: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        check_members(self.type, self.data, DERIVED)
        return self

    def data_with(self, ids: Mapping[str, str], measured: Mapping[str, object]) -> Mapping[str, object]:
        """Merge the ids that this type of event has, the measured members and the constant `data`; `data` of the
        settings wins."""
        wanted = members(self.type)
        return {**{name: value for name, value in ids.items() if name in wanted}, **measured, **self.data}


AnyMeaning = TypeVar("AnyMeaning", bound=Meaning)


def first_that_fits(meanings: Iterable[AnyMeaning], places: frozenset[str]) -> AnyMeaning | None:
    return next((meant for meant in meanings if meant.place is None or meant.place in places), None)


def places_named(meanings: Mapping[str, tuple[AnyMeaning, ...]]) -> frozenset[str]:
    """Return all places that some meaning is limited to."""
    return frozenset(meant.place for each in meanings.values() for meant in each if meant.place is not None)


SEPARATOR = re.compile(r"[/#:]")
# Activity types with a larger audience: courses and forums.
COURSES = frozenset(
    {
        *("course", "courseoffering", "coursesection", "module", "lesson", "unit", "lecture"),
        *("class", "classroom", "virtual-classroom", "webinar", "seminar", "workshop", "training"),
        *("discussion", "forum", "forum-topic", "forum-post", "forum-reply", "forum-thread", "thread"),
    }
)
# Activity types that are mentoring, whoever takes part.
MENTORING = "mentoring"
OF_MENTORING = frozenset({MENTORING, "mentoring-session", "tutor-session"})
# Activities between two people, or a person's own text; the type does not say whom they address.
TOGETHER = frozenset({"meeting", "chat", "conversation", "message", "note"})
ALONE = "activity"
"""Stands for any other kind of activity."""


def term(text: str) -> str:
    """Return the last part of a JSON-LD term, which may be short (`Posted`) or an IRI."""
    return SEPARATOR.split(text)[-1]


def course_word(kind: str) -> str:
    """Return the last segment of an activity type that is part of a course or forum; otherwise ""."""
    step = _last_step(kind)
    return step if step in COURSES else ""


def kind_word(kind: str) -> str:
    """Classify the type of an action's object: MENTORING, one of INTERPERSONAL, a course word, or another kind such as
    a video or a quiz; "" if the type is missing."""
    step = _last_step(kind)
    if step in OF_MENTORING:
        return MENTORING
    return step if not kind or step in TOGETHER else course_word(kind) or ALONE


def _last_step(kind: str) -> str:
    return term(kind.rstrip("/#")).lower()
