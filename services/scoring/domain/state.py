"""The state of one relationship: its kept facts, and beside them how far its history is out. States merge."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from services.scoring.domain import memory
from services.scoring.domain.bounds import NONE
from services.scoring.domain.facts import Facts, merged


class Home(NamedTuple):
    """The programme of a relationship, as its first fact on the log named it; it never changes."""

    position: int
    program: str


NOWHERE = Home(NONE, "")


@dataclass(frozen=True)
class State:
    """`position` is the greatest log position folded in. `clock`: rows due up to here are out.
    Rows are stale where a fact arrived below the floor (`stale_position`), a full group made them inexact
    (`inexact_until`) or a programme's profiles changed after they were out (`stale_programme`, an offset of the
    programmes' topic), until a heal has covered position, clock and that record."""

    facts: Facts = field(default_factory=dict)
    position: int = NONE
    clock: int = NONE
    stale_position: int = NONE
    inexact_until: int = NONE
    healed_position: int = NONE
    healed_clock: int = NONE
    stale_programme: int = NONE
    healed_programme: int = NONE
    home: Home = NOWHERE

    def merge(self, other: "State") -> "State":
        """Associative, commutative, idempotent: union of the facts, then the same trimming; the rest by maximum."""
        marks = {name: max(getattr(self, name), getattr(other, name)) for name in MARKS}
        homes = [home for home in (self.home, other.home) if home != NOWHERE]
        facts = memory.trimmed(merged(self.facts, other.facts))
        return State(facts, **marks, home=min(homes, default=NOWHERE))

    def is_stale(self, clock: int) -> bool:
        return (
            self.stale_position > self.healed_position
            or min(clock, self.inexact_until) > self.healed_clock
            or self.stale_programme > self.healed_programme
        )

    def clocked(self, clock: int) -> "State":
        return self if clock <= self.clock else replace(self, clock=clock)


MARKS = (
    "position",
    "clock",
    "stale_position",
    "inexact_until",
    "healed_position",
    "healed_clock",
    "stale_programme",
    "healed_programme",
)
