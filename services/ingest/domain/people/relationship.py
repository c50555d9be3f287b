"""Who is paired with whom, and from when to when."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from schemas.primitives import Side


@dataclass(frozen=True)
class Relationship:
    """As its latest start before some moment says; `ended` is the end that followed, if one did."""

    tenant: str
    id: str
    program: str
    mentors: frozenset[str]
    mentees: frozenset[str]
    coordinator: str | None
    started: datetime
    ended: datetime | None = None

    @property
    def people(self) -> frozenset[str]:
        return self.mentors | self.mentees

    def role(self, participant: str) -> Side | None:
        if participant in self.mentors:
            return "mentor"
        return "mentee" if participant in self.mentees else None

    def meets(self, present: AbstractSet[str]) -> bool:
        """Whether one of each side is there; somebody on both sides is no company for themselves."""
        mentors, mentees = self.mentors & present, self.mentees & present
        return bool(mentors and mentees) and len(mentors | mentees) > 1

    def is_over(self, moment: datetime) -> bool:
        return self.ended is not None and self.ended < moment
