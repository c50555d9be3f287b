"""Shared by xAPI and Caliper: the meanings that settings give to actions, why some actions concern no pair, and which
activity types belong to courses or to mentoring."""

import re
from collections.abc import Iterable, Mapping
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.ingest.domain.verdict import Ignored
from services.ingest.sources.vocabulary import ToolEventType, check_members, member_names

IN_COURSE, NOBODY_ADDRESSED = Ignored("of_a_course_or_forum"), Ignored("nobody_addressed")
HELD, PREPARED = "mentoring.session.held.v1", "mentoring.preparation.completed.v1"
MESSAGE_SENT, SHARED = "mentoring.message.sent.v1", "mentoring.resource.shared.v1"
# Messages and shared resources count as contact of a pair only if they are addressed to somebody.
CONTACTS = frozenset({MESSAGE_SENT, SHARED})
# Members of `data` that come from the record itself.
DERIVED = frozenset({"session_id", "started_at", "goal_id", "request_id", "rating", "percent"})


class Meaning(BaseModel):
    """What an action means. `data` holds constant members. With `target` (id or type of the action's object, or of the
    object's parent), the meaning applies only there; xAPI calls it `activity`, Caliper `object`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: ToolEventType
    data: Mapping[str, object] = Field(default_factory=dict)
    target: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        check_members(self.type, self.data, DERIVED)
        return self

    def data_with(self, ids: Mapping[str, str], measured: Mapping[str, object]) -> Mapping[str, object]:
        """Merge the ids that this type of event has, the measured members and the constant `data`; `data` of the
        settings wins."""
        wanted = member_names(self.type)
        return {**{name: value for name, value in ids.items() if name in wanted}, **measured, **self.data}


AnyMeaning = TypeVar("AnyMeaning", bound=Meaning)


def first_matching(meanings: Iterable[AnyMeaning], targets: frozenset[str]) -> AnyMeaning | None:
    return next((meaning for meaning in meanings if meaning.target is None or meaning.target in targets), None)


def named_targets(meanings: Mapping[str, tuple[AnyMeaning, ...]]) -> frozenset[str]:
    """Return all places that some meaning is limited to."""
    return frozenset(meaning.target for each in meanings.values() for meaning in each if meaning.target is not None)


SEPARATOR = re.compile(r"[/#:]")
# Activity types with a larger audience: courses and forums.
COURSE_KINDS = frozenset(
    {
        *("course", "courseoffering", "coursesection", "module", "lesson", "unit", "lecture"),
        *("class", "classroom", "virtual-classroom", "webinar", "seminar", "workshop", "training"),
        *("discussion", "forum", "forum-topic", "forum-post", "forum-reply", "forum-thread", "thread"),
    }
)
# Activity types that are mentoring, whoever takes part.
MENTORING = "mentoring"
MENTORING_KINDS = frozenset({MENTORING, "mentoring-session", "tutor-session"})
# Activities between two people, or a person's own text; the type does not say whom they address.
INTERPERSONAL = frozenset({"meeting", "chat", "conversation", "message", "note"})
OTHER_KIND = "activity"
"""Stands for any other kind of activity."""


def term(text: str) -> str:
    """Return the last part of a JSON-LD term, which may be short (`Posted`) or an IRI."""
    return SEPARATOR.split(text)[-1]


def course_kind(kind: str) -> str:
    """Return the last segment of an activity type that is part of a course or forum; otherwise ""."""
    step = _last_step(kind)
    return step if step in COURSE_KINDS else ""


def activity_kind(kind: str) -> str:
    """Classify the type of an action's object: MENTORING, one of INTERPERSONAL, a course word, or another kind such as
    a video or a quiz; "" if the type is missing."""
    step = _last_step(kind)
    if step in MENTORING_KINDS:
        return MENTORING
    return step if not kind or step in INTERPERSONAL else course_kind(kind) or OTHER_KIND


def _last_step(kind: str) -> str:
    return term(kind.rstrip("/#")).lower()
