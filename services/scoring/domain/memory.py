"""The bounded memory: which facts of a relationship are kept so that its recent rows stay exact.

Trimming is a projection: `trimmed(a | trimmed(b)) == trimmed(a | b)`, so states merge in any order and grouping."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from services.scoring.domain import bounds
from services.scoring.domain.facts import BOTH, CONTACTS, LATE, MENTEE, MENTOR, Fact, Facts, Key, Kind

# How many facts of each group a score looks at.
LOOKED_AT: Mapping[str, int] = {
    "outcomes": 24,
    "held": 1,
    "missed_by_mentor": 3,
    "missed_by_mentee": 3,
    "cancelled_late": 1,
    "messages_by_mentor": 24,
    "messages_by_mentee": 24,
    "started": 4,
    "status": 32,
    "bookings": 16,
}
_MISSED = {
    MENTOR: ("outcomes", "missed_by_mentor"),
    MENTEE: ("outcomes", "missed_by_mentee"),
    BOTH: ("outcomes", "missed_by_mentor", "missed_by_mentee"),
}


def groups(key: Key) -> tuple[str, ...]:
    match key.kind:
        case Kind.HELD:
            return "held", "outcomes"
        case Kind.MISSED:
            return _MISSED.get(key.slot, ("outcomes",))
        case Kind.CANCELLED:
            return ("outcomes", "cancelled_late") if key.slot == LATE else ("outcomes",)
        case Kind.SCHEDULED | Kind.RESCHEDULED:
            return ("bookings",)
        case Kind.MESSAGE:
            return ("messages_by_mentor",) if key.slot == MENTOR else ("messages_by_mentee",)
        case Kind.STARTED:
            return ("started",)
        case _:
            return ("status",)


def trimmed(facts: Facts) -> dict[Key, Fact]:
    """Per group the newest facts within the horizon, of all others as many as a score looks at; the oldest fact of all;
    and of contacts that are not kept whole the newest days, each by its two least ids."""
    if not facts:
        return {}
    cut = max(facts).time - bounds.HORIZON
    keep, rest = {min(facts)}, []
    for name, keys in _by_group(facts).items():
        whole = [key for key in keys if key.time > cut][: bounds.KEPT_WHOLE]
        others = keys[len(whole) :]
        keep.update(whole)
        keep.update(others[: LOOKED_AT[name]])
        if _holds_contacts(name):
            rest += others
    for ids in contact_days(rest, bounds.CONTACT_DAYS).values():
        keep.update(ids)
    return {key: fact for key, fact in facts.items() if key in keep}


def contact_days(contacts: Iterable[Key], count: int) -> dict[int, list[Key]]:
    """The newest `count` days with contact, newest first, each known by its two least contact ids."""
    days: dict[int, list[Key]] = defaultdict(list)
    for key in contacts:
        days[key.time // bounds.DAY].append(key)
    return {day: least_two(days[day]) for day in sorted(days, reverse=True)[:count]}


def least_two(keys: Iterable[Key]) -> list[Key]:
    return sorted(keys, key=lambda key: (key.uid, key))[:2]


def floor(facts: Facts, clock: int) -> int:
    """The earliest instant whose row the kept facts still determine: FLOOR before now, but where a group is full,
    LOOKBACK after its oldest kept fact."""
    newest = max(facts).time
    low = max(newest, clock) - bounds.FLOOR
    for keys in _by_group(facts).values():
        whole = [key.time for key in keys if key.time > newest - bounds.HORIZON]
        if len(whole) >= bounds.KEPT_WHOLE:
            low = max(low, whole[bounds.KEPT_WHOLE - 1] + bounds.LOOKBACK + 1)
    return low


def is_contact(key: Key) -> bool:
    return key.kind in CONTACTS


def _by_group(facts: Facts) -> dict[str, list[Key]]:
    """Newest first within each group."""
    found: dict[str, list[Key]] = defaultdict(list)
    for key in sorted(facts, reverse=True):
        for name in groups(key):
            found[name].append(key)
    return found


def _holds_contacts(name: str) -> bool:
    return name == "held" or name.startswith("messages")
