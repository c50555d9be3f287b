"""What the relationships of a partition show of their programmes: their healths, and who of them alerts."""

from dataclasses import dataclass, field

from schemas.primitives import Instant
from schemas.rules import RULES, SCORE_MEASURES
from services.notify.domain.ids import ProgrammeKey
from services.notify.domain.lifecycle import OPEN
from services.notify.domain.watch import Watch
from services.notify.domain.window import newest

SHIFTING = tuple(rule.name for rule in RULES if rule.measure in SCORE_MEASURES)
"""What is old, such as a pair that has had no contact for months, is no shift of its programme."""


@dataclass
class Pulses:
    """Of the active relationships of a programme: their healths, which of them alert by a rule that looks at their
    scores, and since when those are computed otherwise than before, where they are. What alerts because of that does
    not count."""

    healths: dict[str, float] = field(default_factory=dict)
    alerting: set[str] = field(default_factory=set)
    rescored: dict[str, Instant] = field(default_factory=dict)

    def drop(self, key: str) -> None:
        self.healths.pop(key, None)
        self.alerting.discard(key)
        self.rescored.pop(key, None)


class ProgrammePulses:
    """Of every programme, by the newest rows of its relationships."""

    def __init__(self) -> None:
        self.by_program: dict[ProgrammeKey, Pulses] = {}

    def track(self, key: str, watch: Watch) -> None:
        """Its newest row, and the conditions of its rules, are as this watch says."""
        program = (watch.subject.tenant, watch.subject.program)
        pulses = self.by_program.get(program) or self.by_program.setdefault(program, Pulses())
        values = newest(watch.window)
        if values is None or values.status != "active":
            pulses.drop(key)
            return
        pulses.healths[key] = values.health
        rescored = None if watch.scored is None else watch.scored.since
        if rescored is not None:
            pulses.rescored[key] = rescored
        # No generator: this is asked of every row of every pair.
        for name in SHIFTING:
            state = watch.rules.get(name)
            if state is not None and state.condition in OPEN and (rescored is None or state.since != rescored):
                pulses.alerting.add(key)
                return
        pulses.alerting.discard(key)

    def drop(self, key: str) -> None:
        """Nothing is known of this relationship any more."""
        for pulses in self.by_program.values():
            pulses.drop(key)

    def active(self, program: ProgrammeKey) -> int:
        """How many relationships of a programme are active."""
        pulses = self.by_program.get(program)
        return len(pulses.healths) if pulses else 0
