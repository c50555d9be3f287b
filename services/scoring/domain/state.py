"""The state of one relationship: its kept facts, and beside them how far its history is out. States merge."""

from dataclasses import dataclass, field
from typing import NamedTuple

from services.scoring.domain import memory
from services.scoring.domain.bounds import NONE
from services.scoring.domain.facts import Facts, merged


class Home(NamedTuple):
    """The programme of a relationship, as its first fact on the log named it; it never changes."""

    position: int
    program: str


NOWHERE = Home(NONE, "")


@dataclass(slots=True)
class RelationshipState:
    """Never changed: it is not frozen because each event makes three, and to freeze one takes four times as long.

    `position` is the greatest log position folded in. `clock`: rows due up to here are out.
    Rows are stale where a fact arrived below the floor (`stale_position`), a full group made them inexact
    (`inexact_until`) or a programme's profiles changed after they were out, until a heal has covered position and
    clock. `stale_programme`: so did an older version note the latter, as an offset of the topic of programmes."""

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
    derived: bytes = field(default=b"", compare=False, repr=False)
    """Of the facts, as it was when the state was stored (outlook); empty where it has to be computed anew."""

    def merge(self, other: "RelationshipState") -> "RelationshipState":
        """Associative, commutative, idempotent: union of the facts, then the same trimming; the rest by maximum."""
        marks = {name: max(getattr(self, name), getattr(other, name)) for name in MARKS}
        homes = [home for home in (self.home, other.home) if home != NOWHERE]
        home = min(homes, default=NOWHERE)
        # A heal stores no facts: those of the worker stay, and what is derived of them.
        for one, another in ((self, other), (other, self)):
            if not another.facts and one.derived:
                return RelationshipState(one.facts, **marks, home=home, derived=one.derived)
        return RelationshipState(memory.trimmed(merged(self.facts, other.facts)), **marks, home=home)

    def is_stale(self, clock: int) -> bool:
        return (
            self.stale_position > self.healed_position
            or min(clock, self.inexact_until) > self.healed_clock
            or self.stale_programme > self.healed_programme
        )

    def kept(self, facts: Facts, clock: int, position: int = NONE, derived: bytes = b"") -> "RelationshipState":
        """With these facts, the newest of which came at a position, and rows that are out up to the clock. On the way
        of every event, so fields are named one by one: `replace` takes as long as all the rest of storing."""
        return RelationshipState(
            facts,
            self.position if self.position > position else position,  # noqa: FURB136 (`max` takes three times as long)
            self.clock if self.clock > clock else clock,  # noqa: FURB136
            self.stale_position,
            self.inexact_until,
            self.healed_position,
            self.healed_clock,
            self.stale_programme,
            self.healed_programme,
            self.home,
            derived,
        )


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
