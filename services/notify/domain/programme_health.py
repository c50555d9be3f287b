"""The health of programmes by the relationships of a partition: their healths, and which of them alert."""

from dataclasses import dataclass, field

from schemas.primitives import Instant
from schemas.rules import RULES, SCORE_MEASURES
from services.notify.domain.ids import ProgrammeKey
from services.notify.domain.lifecycle import OPEN
from services.notify.domain.watch import Watch
from services.notify.domain.window import newest_values

SHIFTING = tuple(rule.name for rule in RULES if rule.measure in SCORE_MEASURES)
"""A condition of age, such as a pair without contact for months, is no shift of its programme."""


@dataclass
class ProgrammeHealth:
    """The active relationships of a programme: their healths, which of them alert by a rule on scores, and since when
    scores are computed otherwise, where they are. An alert that comes from rescoring does not count."""

    healths: dict[str, float] = field(default_factory=dict)
    alerting: set[str] = field(default_factory=set)
    rescored: dict[str, Instant] = field(default_factory=dict)

    def drop(self, key: str) -> None:
        self.healths.pop(key, None)
        self.alerting.discard(key)
        self.rescored.pop(key, None)


class ProgrammeHealthIndex:
    """The health of every programme, by the newest rows of its relationships."""

    def __init__(self) -> None:
        self.by_program: dict[ProgrammeKey, ProgrammeHealth] = {}

    def track(self, key: str, watch: Watch) -> None:
        """Update from the newest row and the conditions of a watch."""
        program = (watch.subject.tenant, watch.subject.program)
        program_health = self.by_program.get(program) or self.by_program.setdefault(program, ProgrammeHealth())
        values = newest_values(watch.window)
        if values is None or values.status != "active":
            program_health.drop(key)
            return
        program_health.healths[key] = values.health
        rescored = None if watch.scored is None else watch.scored.since
        if rescored is not None:
            program_health.rescored[key] = rescored
        # No generator: this runs for every row of every pair.
        for name in SHIFTING:
            state = watch.rules.get(name)
            if state is not None and state.condition in OPEN and (rescored is None or state.since != rescored):
                program_health.alerting.add(key)
                return
        program_health.alerting.discard(key)

    def drop(self, key: str) -> None:
        """Remove a relationship."""
        for program_health in self.by_program.values():
            program_health.drop(key)

    def active(self, program: ProgrammeKey) -> int:
        """Return how many relationships of a programme are active."""
        program_health = self.by_program.get(program)
        return len(program_health.healths) if program_health else 0
