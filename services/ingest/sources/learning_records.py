"""What xAPI and Caliper have in common: what settings say that an action means, and where, why some concern no
pair, and which kinds of places are public, or of mentoring."""

import re
from collections.abc import Iterable, Mapping
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.ingest.domain.verdict import Ignored
from services.ingest.sources.vocabulary import SayableType, check_members, members

OF_A_COURSE, NOBODY_ADDRESSED = Ignored("of_a_course_or_forum"), Ignored("nobody_addressed")
HELD, PREPARED = "mentoring.session.held.v1", "mentoring.preparation.completed.v1"
MESSAGE_SENT, SHARED = "mentoring.message.sent.v1", "mentoring.resource.shared.v1"
# What is said to somebody: to nobody in particular it is no contact of a pair.
CONTACTS = frozenset({MESSAGE_SENT, SHARED})
# What a record itself says of an event.
DERIVED = frozenset({"session_id", "started_at", "goal_id", "request_id", "rating", "percent"})


class Meaning(BaseModel):
    """`data` is fixed. With `place` (the id or type of what something is done to, or of what that belongs to) the
    action means this only there. Each standard has its own word for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: SayableType
    data: Mapping[str, object] = Field(default_factory=dict)
    place: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        check_members(self.type, self.data, DERIVED)
        return self

    def data_with(self, ids: Mapping[str, str], measured: Mapping[str, object]) -> Mapping[str, object]:
        """Of the ids those that the type has; what is fixed in the settings stays as it is."""
        wanted = members(self.type)
        return {**{name: value for name, value in ids.items() if name in wanted}, **measured, **self.data}


AnyMeaning = TypeVar("AnyMeaning", bound=Meaning)


def first_that_fits(meanings: Iterable[AnyMeaning], places: frozenset[str]) -> AnyMeaning | None:
    return next((meant for meant in meanings if meant.place is None or meant.place in places), None)


def places_named(meanings: Mapping[str, tuple[AnyMeaning, ...]]) -> frozenset[str]:
    """Where an action has a meaning of its own."""
    return frozenset(meant.place for each in meanings.values() for meant in each if meant.place is not None)


SEPARATOR = re.compile(r"[/#:]")
# Where many are taught or talk to each other.
COURSES = frozenset(
    {
        *("course", "courseoffering", "coursesection", "module", "lesson", "unit", "lecture"),
        *("class", "classroom", "virtual-classroom", "webinar", "seminar", "workshop", "training"),
        *("discussion", "forum", "forum-topic", "forum-post", "forum-reply", "forum-thread", "thread"),
    }
)
# What is mentoring, with whom it may be.
MENTORING = "mentoring"
OF_MENTORING = frozenset({MENTORING, "mentoring-session", "tutor-session"})
# What two people do or say together, or is a person's own word: with whom and to whom the type does not say.
TOGETHER = frozenset({"meeting", "chat", "conversation", "message", "note"})
ALONE = "activity"
"""Stands for any other kind of activity."""


def term(text: str) -> str:
    """JSON-LD lets a term be written short (`Posted`) or as an IRI."""
    return SEPARATOR.split(text)[-1]


def course_word(kind: str) -> str:
    """The last step of an activity's type where that is a part of a course or a forum; else empty."""
    step = _last_step(kind)
    return step if step in COURSES else ""


def kind_word(kind: str) -> str:
    """Of the kind of what something is done to: that it is mentoring, of TOGETHER, of a course, or another such as a
    video or a quiz; empty where nothing is said."""
    step = _last_step(kind)
    if step in OF_MENTORING:
        return MENTORING
    return step if not kind or step in TOGETHER else course_word(kind) or ALONE


def _last_step(kind: str) -> str:
    return term(kind.rstrip("/#")).lower()
