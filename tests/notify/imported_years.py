"""Two years of mentoring, imported on the wall clock: the score events of real scoring during the import and the heal,
and the messages of notify."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from schemas.events import OfRelationship
from schemas.primitives import from_micros, to_micros
from schemas.programs import Source
from schemas.rules import RULES
from services.notify.domain.destinations import DestinationsConfig
from services.notify.domain.guards import SETTLE
from services.notify.domain.lifecycle import OPEN
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.layout import PartitionWatermark
from services.scoring.domain.maintenance import HealBound, healing
from services.scoring.domain.partition import ScoredPartition
from services.scoring.domain.profiles import programmes_of
from services.scoring.domain.row import HistoryRow
from services.scoring.domain.serialization import score_event
from services.scoring.domain.verification import comparable
from tests.notify.building import clock
from tests.notify.harness import NotifyHarness, machine, mailed, mailing
from tests.notify.naming import participant, programme
from tests.scoring import building as facts

NOW = datetime(2026, 4, 14, 9, tzinfo=UTC)
"""A Tuesday, on which people work: nothing waits for the end of a night."""
DAYS = 730
SOURCE = "/s"
MINUTE = timedelta(minutes=1)
HEALED_AT = NOW + 8 * MINUTE
"""The import takes five minutes, and whoever ran it heals afterwards."""
LIVES = (
    "steady",
    "fell silent",
    "fell silent, came back",
    "fell silent long ago",
    "ends in complaints",
    "nobody comes",
)
PER_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Emitted:
    """The bytes of a score event, and when scoring emitted it."""

    at: datetime
    value: bytes

    def of(self, relationship: str) -> bytes:
        """Return the same event of another pair."""
        return self.value.replace(b"one-pair", relationship.encode())


def history_of(kind: str) -> list[OfRelationship]:
    """Return the events of a pair in two years, oldest first."""
    found: list[OfRelationship] = [facts.started(0, 7)]
    for week in range(DAYS // 7):
        at = 7.0 * week + 0.5
        left = DAYS - at
        silent = {
            "steady": False,
            "fell silent": left < 45,
            "fell silent, came back": 300 < left < 400,
            "fell silent long ago": left < 400,
            "ends in complaints": False,
            "nobody comes": False,
        }[kind]
        if silent:
            continue
        if kind == "nobody comes" and left < 60:
            found.append(facts.missed(at, "mentee", f"s{week}"))
            continue
        found.append(facts.held(at, f"s{week}"))
        if kind == "ends in complaints" and left < 40:
            found.append(facts.feedback(at + 0.1, "mentee", 1))
    return found


@cache
def emitted_by_scoring(kind: str) -> tuple[Emitted, ...]:
    """Return the events that live scoring emits for one pair while its history is imported, then those of the heal, and
    midnights for three days after."""
    partition, history = ScoredPartition(programmes_of([]), {}, PartitionWatermark()), FullHistory()
    emitted: list[Emitted] = []
    stored: dict[int, HistoryRow] = {}
    list(partition.advance(to_micros(NOW)))
    events = history_of(kind)
    for offset, event in enumerate(events):
        recorded = NOW + 5 * MINUTE * offset / len(events)
        late = _recorded(event, recorded)
        place = offset + 1
        for emission in facts.apply(partition, late, "acme/one-pair", place):
            emitted.append(Emitted(recorded, score_event(emission)))
            stored.pop(emission.as_of, None)
            if emission.row is not None:
                stored[emission.as_of] = emission.row
        history.add(late, place)
    bound = HealBound(len(events), partition.clock, programmes_of([]))
    known = {at: comparable(row) for at, row in stored.items()}
    healed = healing("acme/one-pair", history, known, bound).emissions
    emitted += [Emitted(HEALED_AT, score_event(emission, "heal")) for emission in healed]
    for emissions in partition.advance(to_micros(NOW + 2 * PER_DAY - 12 * 60 * MINUTE)):
        emitted += [Emitted(_instant(emission.as_of), score_event(emission)) for emission in emissions]
    return tuple(emitted)


@cache
def emitted_in_time(kind: str) -> tuple[Emitted, ...]:
    """Return the same rows, each emitted when it happened."""
    partition, emitted = ScoredPartition(programmes_of([]), {}, PartitionWatermark()), list[Emitted]()
    for offset, event in enumerate(history_of(kind)):
        late = _recorded(event, _began() + (event.time - facts.at(0)))
        emitted += [
            Emitted(_instant(emission.as_of), score_event(emission))
            for emission in facts.apply(partition, late, "acme/one-pair", offset + 1)
        ]
    for emissions in partition.advance(to_micros(NOW)):
        emitted += [Emitted(_instant(emission.as_of), score_event(emission)) for emission in emissions]
    return tuple(emitted)


def imported(pairs: int) -> NotifyHarness:
    """Import so many pairs of alternating histories into an empty notify; runs up to three days later."""
    office = _office()
    coming = sorted(
        (
            (emitted.at, emitted.of(name))
            for number in range(pairs)
            for name in (f"pair-{number:04}",)
            for emitted in emitted_by_scoring(LIVES[number % len(LIVES)])
        ),
        key=lambda one: one[0],
    )
    at = 0
    while office.now < NOW + 2 * PER_DAY - 12 * 60 * MINUTE:
        office.now += MINUTE if office.now < NOW + 60 * MINUTE else 15 * MINUTE
        batch = []
        while at < len(coming) and coming[at][0] <= office.now:
            batch.append(coming[at][1])
            at += 1
        office.read(*batch)
        office.apply(clock(office.now))
    return office


def truth(kind: str) -> set[str]:
    """Return the rules that would be open after the import, had the history always been there."""
    office = NotifyHarness(DestinationsConfig(()), NOW, rules=RULES)
    for emitted in emitted_in_time(kind):
        office.now = emitted.at
        office.read(emitted.value)
    office.at(HEALED_AT + SETTLE)
    watch = office.partition.watch("acme/one-pair")
    assert watch is not None
    return {name for name, state in watch.rules.items() if state.condition in OPEN}


def _office() -> NotifyHarness:
    office = NotifyHarness(DestinationsConfig((mailed(), mailing(), machine())), NOW, rules=RULES)
    described = programme(coordinator="p-3", sources=(Source(source=SOURCE, interval_hours=24),))
    office.people.upsert_programme(described)
    office.shared.upsert_programme(described)
    office.people.upsert(participant("p-3", "Ana Ruiz", addresses=("ana@acme.example",)))
    return office


def _began() -> datetime:
    return NOW - timedelta(days=DAYS)


def _recorded(event: OfRelationship, at: datetime) -> OfRelationship:
    """Return the pair's events, two years ago, as the gateway records them."""
    change = {
        "tenant": "acme",
        "subject": "one-pair",
        "program": "spruce",
        "partitionkey": "acme/one-pair",
        "time": _began() + (event.time - facts.at(0)),
        "recordedtime": at,
    }
    return event.model_copy(update=change)


def _instant(micros: int) -> datetime:
    return from_micros(micros)
