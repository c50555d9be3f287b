"""Versions of rules whose shadow is over: what would have been other is counted beside the work, a part a round."""

from collections.abc import Callable, Iterable

from schemas.primitives import Instant
from schemas.rule_sets import RuleEvent
from services.notify.domain.ids import ProgrammeKey
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.rule_book import RuleBook, ShadowCount

COUNTED_AT_ONCE = 100
"""Pairs in a round: less than a second."""


class Shadows:
    def __init__(self, rules: RuleBook, failed: Callable[[str, Exception], None]) -> None:
        self._rules, self._failed = rules, failed
        self._counting: dict[tuple[ProgrammeKey, str], ShadowCount] = {}

    def look(self, clock: Instant, partitions: Iterable[PartitionAlerts]) -> None:
        """Those whose time is over by this instant are counted from now on; one that another version has replaced no
        longer."""
        shadows = {shadow.key: shadow for shadow in self._rules.shadows(clock)}
        self._counting = {key: count for key, count in self._counting.items() if key in shadows}
        for key, shadow in shadows.items():
            if key not in self._counting:
                watches = [watch for alerts in partitions for watch in alerts.of_program(shadow.program)]
                self._counting[key] = ShadowCount(shadow, watches)

    def counted(self, recorded: Instant) -> list[RuleEvent]:
        """Counts a part, and returns what has come of those of which nothing is left."""
        found: list[RuleEvent] = []
        for key, count in list(self._counting.items()):
            try:
                if not count.go_on(COUNTED_AT_ONCE):
                    break
                event = count.event(recorded)
                self._rules.apply(event)
                found.append(event)
            except Exception as failure:  # noqa: BLE001 (logged and counted; the next clock begins anew)
                self._failed("shadow_not_counted", failure)
            del self._counting[key]
        return found
