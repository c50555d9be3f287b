"""A long log whose events arrive in any order within 25 days, some of them twice: as tools deliver that are out of
step, on phones that were off and through imports that were late."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from schemas.events import OfRelationship
from tests.scoring import building as b
from tests.scoring.random_logs import KINDS

SHUFFLED_DAYS = 25
DOUBLED = 0.2
USUAL = ("message", "message", "message again", "message", "held", "held", "missed", "booked", "moved", "feedback")
"""What most events are; the others are of any kind that lets rows go on: a pair of which no row is left within the
floor becomes stale by any late fact, and waits for a heal."""
OTHERS = tuple(sorted(KINDS.keys() - {"paused", "ended", "erased"}))


@dataclass(frozen=True)
class Life:
    """Of each relationship: so many events in so many days, the last of them its end."""

    events: int
    days: float


def shuffled(rng: Random, relationships: int, span_days: float, history: Life) -> list[OfRelationship]:
    """In log order. The relationships begin one after the other within the span."""
    arrivals: list[tuple[float, OfRelationship]] = []
    for number in range(relationships):
        for day, event in _history(rng, f"r{number}", rng.uniform(0, span_days), history):
            arrivals.append((day + rng.uniform(0, SHUFFLED_DAYS), event))
            if rng.random() < DOUBLED:
                arrivals.append((day + rng.uniform(0, SHUFFLED_DAYS), event))
    return [_recorded(event, day) for day, event in sorted(arrivals, key=_arrival)]


def _history(rng: Random, name: str, begin: float, history: Life) -> Sequence[tuple[float, OfRelationship]]:
    days = sorted(begin + rng.uniform(0, history.days) for _ in range(history.events - 2))
    middle = [KINDS[rng.choice(USUAL if rng.random() < 0.7 else OTHERS)](rng, day) for day in days]
    events = [b.started(begin, 7), *middle, b.ended(begin + history.days)]
    return [
        (day, _of(name, event, f"{name}-{place}"))
        for place, (day, event) in enumerate(zip([begin, *days, begin + history.days], events, strict=True))
    ]


def _of(name: str, event: OfRelationship, identity: str) -> OfRelationship:
    return event.model_copy(update={"subject": name, "partitionkey": f"t/{name}", "id": identity})


def _recorded(event: OfRelationship, day: float) -> OfRelationship:
    return event.model_copy(update={"recordedtime": b.BEGIN + timedelta(days=day)})


def _arrival(arrived: tuple[float, OfRelationship]) -> float:
    return arrived[0]
