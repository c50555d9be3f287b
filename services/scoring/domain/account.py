"""What the whole log says of one relationship: the facts that the bounded memory of a state forgets."""

from dataclasses import dataclass, field

from schemas.events import OfRelationship
from services.scoring.domain.bounds import NONE
from services.scoring.domain.facts import Fact, Key, facts_of, merge_into


@dataclass
class Account:
    """Grows event by event, in log order. `position` is the greatest that its facts came at, as of its state; `program`
    is what the first of them named."""

    program: str = ""
    position: int = NONE
    facts: dict[Key, Fact] = field(default_factory=dict)

    def add(self, event: OfRelationship, position: int) -> None:
        facts = facts_of(event, position)
        if not facts:
            return
        if self.position == NONE:
            self.program = event.program
        self.position = position
        merge_into(self.facts, facts)
