"""A synthetic log in time order: messages, meetings, goals and answers of many relationships."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from schemas.events import MENTORING_EVENT, partition_key, to_json
from schemas.primitives import to_rfc3339

Keyed = tuple[bytes, bytes]
"""Key and value of a record."""

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
PER_DAY = 2
"""Events per relationship and day: a busy one."""
TENANT = "acme"


@dataclass(frozen=True)
class Occasion:
    """The time and relationship of an event; ids derive from `number`."""

    at: datetime
    relationship: str
    number: int
    rng: Random

    def side(self) -> str:
        return self.rng.choice(("mentor", "mentee"))

    def session(self) -> str:
        return f"s-{self.number}"

    def goal(self) -> str:
        return f"{self.relationship}-goal-{self.rng.randrange(3)}"


def log(count: int, relationships: int, seed: int = 1) -> Iterator[Keyed]:
    """Deterministic for the same arguments. Every relationship starts first; an event is recorded when it happens."""
    rng = Random(seed)
    step = timedelta(days=1) / (PER_DAY * relationships)
    names, weights = list(_WEIGHTS), list(_WEIGHTS.values())
    for number in range(count):
        starts = number < relationships
        relationship = f"rel-{number if starts else rng.randrange(relationships):06}"
        name = "relationship.started" if starts else rng.choices(names, weights)[0]
        yield _record(name, Occasion(BEGIN + number * step, relationship, number, rng))


def _record(name: str, occasion: Occasion) -> Keyed:
    """In the form that ingest writes."""
    moment = to_rfc3339(occasion.at)
    key = partition_key(TENANT, occasion.relationship)
    envelope = {
        "specversion": "1.0",
        "source": "https://tools.acme.example/mentoring",
        "id": f"{occasion.number:08}-{occasion.rng.getrandbits(48):012x}",
        "type": f"mentoring.{name}.v1",
        "time": moment,
        "recordedtime": moment,
        "tenant": TENANT,
        "subject": occasion.relationship,
        "program": "spring",
        "partitionkey": key,
    }
    data = _DATA[name](occasion)
    return key.encode(), to_json(MENTORING_EVENT.validate_json(json.dumps(envelope | {"data": data})))


def _started(occasion: Occasion) -> dict[str, Any]:
    return {"mentors": [f"p-{occasion.number}"], "mentees": [f"q-{occasion.number}"], "cadence_days": 7}


def _message(occasion: Occasion) -> dict[str, Any]:
    return {"by": occasion.side(), "evidence": "observed", "channel": "direct"}


def _booked(occasion: Occasion) -> dict[str, Any]:
    starts = occasion.at + timedelta(days=occasion.rng.randint(1, 5))
    ends = starts + timedelta(hours=1)
    times = {"starts_at": to_rfc3339(starts), "ends_at": to_rfc3339(ends)}
    return {"evidence": "calendar", "session_id": occasion.session(), **times}


def _held(occasion: Occasion) -> dict[str, Any]:
    started = to_rfc3339(occasion.at - timedelta(minutes=45))
    return {"evidence": "observed", "session_id": occasion.session(), "started_at": started, "minutes": 45}


def _missed(occasion: Occasion) -> dict[str, Any]:
    return {"evidence": "calendar", "session_id": occasion.session(), "absent": occasion.side()}


def _cancelled(occasion: Occasion) -> dict[str, Any]:
    return {"evidence": "calendar", "session_id": occasion.session(), "notice_hours": occasion.rng.randint(1, 72)}


def _goal_set(occasion: Occasion) -> dict[str, Any]:
    smart = ("specific", "measurable", "achievable", "relevant", "time_bound")
    return {"by": "mentee", "goal_id": occasion.goal(), "smart": dict.fromkeys(smart, True)}


def _progressed(occasion: Occasion) -> dict[str, Any]:
    return {"by": "mentee", "goal_id": occasion.goal(), "percent": occasion.rng.randint(0, 100)}


def _feedback(occasion: Occasion) -> dict[str, Any]:
    return {"by": occasion.side(), "rating": occasion.rng.randint(2, 5), "about": "session"}


def _pulse(occasion: Occasion) -> dict[str, Any]:
    return {"by": "mentee", "rating": occasion.rng.randint(2, 5)}


def _checkin(occasion: Occasion) -> dict[str, Any]:
    return {"by": occasion.side(), "rating": occasion.rng.randint(2, 5)}


_DATA: dict[str, Callable[[Occasion], dict[str, Any]]] = {
    "relationship.started": _started,
    "message.sent": _message,
    "session.scheduled": _booked,
    "session.held": _held,
    "session.missed": _missed,
    "session.cancelled": _cancelled,
    "goal.set": _goal_set,
    "goal.progressed": _progressed,
    "feedback.given": _feedback,
    "pulse.answered": _pulse,
    "checkin.answered": _checkin,
}
_WEIGHTS = {
    "message.sent": 50,
    "session.held": 14,
    "session.scheduled": 12,
    "goal.progressed": 8,
    "feedback.given": 4,
    "checkin.answered": 4,
    "pulse.answered": 3,
    "session.missed": 2,
    "session.cancelled": 2,
    "goal.set": 1,
}
