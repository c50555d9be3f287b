"""Random logs: late, doubled, retracted, paused, out of order."""

from collections.abc import Callable
from datetime import timedelta
from random import Random

from schemas import events as e
from schemas import payloads as p
from schemas.events import OfRelationship
from schemas.primitives import from_micros, to_micros
from services.scoring.domain.bounds import DAY
from tests.scoring import building as b

Log = list[tuple[str, OfRelationship]]
"""(partition key, event) in log order."""

TICK = DAY // 10
ORIGIN = b.micros(0)
KINDS: dict[str, Callable[[Random, float], OfRelationship]] = {
    "held": lambda rng, day: b.held(day, _session(rng), rng.choice([None, None, 30, 300])),
    "message": lambda rng, day: b.message(day, rng.choice(b.SIDES)),
    "message again": lambda rng, day: b.message(day, rng.choice(b.SIDES), rng.choice([None, "1", "3"])),
    "missed": lambda rng, day: b.missed(
        day, rng.choice(b.ABSENT), _session(rng), evidence=rng.choice(["observed", "calendar"])
    ),
    "cancelled": lambda rng, day: b.cancelled(day, _session(rng), rng.choice([None, 2, 50])),
    "booked": lambda rng, day: b.booked(day, _session(rng), day + rng.uniform(-0.5, 6), 200),
    "moved": lambda rng, day: b.moved(day, _session(rng), day + rng.uniform(-0.5, 6)),
    "joined": lambda rng, day: rng.choice([b.joined, b.left])(day, rng.choice(b.SIDES), _session(rng)),
    "started": lambda rng, day: b.started(day, rng.choice([None, 3, 7])),
    "agreed": lambda _, day: b.agreed(day),
    "prepared": lambda rng, day: b.prepared(day, rng.choice(b.SIDES)),
    "paused": lambda rng, day: b.paused(day, *(_span(rng, day)), rng.choice("pq")),
    "resumed": lambda rng, day: b.resumed(day, rng.choice([None, "p", "q"])),
    "ended": lambda rng, day: b.ended(day) if rng.random() < 0.3 else b.message(day, "mentor"),
    "erased": lambda rng, day: b.erased(day) if rng.random() < 0.1 else b.message(day, "mentee"),
    "goal set": lambda rng, day: b.goal_set(day, rng.choice("ghij"), rng.choice([None, 0, 3, 5])),
    "goal revised": lambda rng, day: b.goal_revised(day, rng.choice("ghij"), rng.choice([None, 2, 5])),
    "goal progressed": lambda rng, day: b.goal_progressed(day, rng.choice([0, 30, 100]), rng.choice("ghij")),
    "goal progressed again": lambda rng, day: b.goal_progressed(day, rng.choice([10, 60]), rng.choice("gh")),
    "goal over": lambda rng, day: rng.choice([b.goal_achieved, b.goal_missed, b.goal_abandoned])(
        day, rng.choice("ghij")
    ),
    "celebrated": lambda rng, day: b.celebrated(day, rng.choice([None, "g"]), rng.choice([*b.SIDES, "admin"])),
    "feedback": lambda rng, day: b.feedback(day, rng.choice(b.SIDES), rng.choice([1, 3, 5]), rng.choice([5, 10])),
    "checkin": lambda rng, day: b.checkin(day, rng.choice(b.SIDES), rng.choice([None, 1, 5])),
    "fit": lambda rng, day: b.fit(day, rng.choice(b.SIDES), rng.choice(["good", "undecided", "not_good"])),
    "pulse": lambda rng, day: b.pulse(day, rng.choice([1, 3, 5]), rng.choice(["mentee", "mentee", "mentor"])),
    "requested": lambda rng, day: b.requested(day, rng.choice("qr"), rng.choice(["immediate", "normal"])),
    "resolved": lambda rng, day: b.resolved(day, rng.choice("qr")),
    "growth": lambda rng, day: rng.choice([b.reflection, b.skill, b.introduction, b.resource])(
        day, rng.choice(b.SIDES)
    ),
}
FEW_KINDS = (1, 1, 2, 3, 6, 12, len(KINDS))
MOST = 30


def random_log(rng: Random) -> Log:
    keys = ["t/x"] if rng.random() < 0.6 else ["t/x", "t/y"]
    kinds = [KINDS[name] for name in rng.sample(sorted(KINDS), rng.choice(FEW_KINDS))]
    slow = rng.choice([1, 2, 2, 6, 12, 25])
    lateness = rng.choice([_late, _late, _on_time])
    log: Log = []
    clock = ORIGIN + rng.randint(0, 10) * TICK
    for number in range(rng.randint(2, MOST)):
        clock += rng.choice([0, 0, 1, rng.randint(0, slow), rng.randint(0, 2 * slow)]) * TICK
        clock += rng.randint(0, 1) * rng.randint(0, 2_500_000)
        clock += rng.randint(5, 15) * DAY * (rng.random() < 0.04)
        time = max(ORIGIN, clock - lateness(rng) * TICK)
        if rng.random() < 0.1:
            time = time // DAY * DAY
        event = rng.choice(kinds)(rng, (time - ORIGIN) / DAY)
        change = {"id": str(number), "time": from_micros(time), "recordedtime": from_micros(clock)}
        log.append((rng.choice(keys), event.model_copy(update=change)))
        if rng.random() < 0.12:
            log.append(_copy(rng, *rng.choice(log), clock))
    return _with_retractions(rng, log)


def _session(rng: Random) -> str:
    """One of a few sessions reported by several facts, or one of its own."""
    return rng.choice("abc") if rng.random() < 0.4 else f"s{rng.randrange(10**9)}"


def _late(rng: Random) -> int:
    return rng.choice([0, 0, 0, 0, -2, -1, 1, rng.randint(0, 10), rng.randint(0, 60), rng.randint(40, 200)])


def _on_time(rng: Random) -> int:
    return rng.choice([0, 0, -1, 1, rng.randint(0, 20)])


def _span(rng: Random, day: float) -> tuple[float | None, float | None]:
    begin = rng.choice([None, None, day + rng.uniform(-1.5, 3)])
    return begin, rng.choice([None, (day if begin is None else begin) + rng.uniform(0.1, 6)])


def _copy(rng: Random, key: str, event: OfRelationship, recorded: int) -> tuple[str, OfRelationship]:
    """A repeat, or a second event under the same id with other content."""
    change: dict[str, object] = {"recordedtime": from_micros(recorded)}
    if rng.random() < 0.5 and isinstance(event.data, p.OneSided):
        change["data"] = event.data.model_copy(update={"by": rng.choice(b.SIDES)})
    elif rng.random() < 0.5 and isinstance(event.data, p.GoalChanged):
        change["data"] = event.data.model_copy(update={"goal_id": rng.choice("ghij")})
    elif rng.random() < 0.3:
        change["time"] = event.time - timedelta(hours=rng.randint(0, 72))
    return key, event.model_copy(update=change)


def _with_retractions(rng: Random, log: Log) -> Log:
    share = rng.choice([0, 0.2, 0.4, 1])
    for key, target in rng.sample(log, rng.randint(0, int(share * len(log)))):
        index = log.index((key, target))
        at = rng.randint(0, len(log)) if rng.random() < 0.5 else min(len(log), index + rng.randint(1, 3))
        recorded = max(to_micros(target.time) - 2 * TICK, to_micros(log[at - 1][1].recordedtime) if at else 0)
        log.insert(at, (key, _retraction(rng, target, recorded)))
    return log


def _retraction(rng: Random, target: OfRelationship, recorded: int) -> e.EventRetracted:
    merged_facts = target.model_copy(update={"id": "none" if rng.random() < 0.1 else target.id})
    mark = b.retraction(0, merged_facts, slot_of(target))
    return mark.model_copy(update={"time": from_micros(recorded), "recordedtime": from_micros(recorded)})


def slot_of(target: OfRelationship) -> str:
    """What a retraction must name besides source, id, type and time."""
    match target.data:
        case p.GoalChanged(goal_id=goal):
            return goal
        case p.SessionMissed(absent=side):
            return side
        case p.SessionCancelled(notice_hours=2):
            return "late"
        case p.OneSided(by=side):
            return side
        case p.MilestoneCelebrated(by=by):
            return by if by in b.SIDES else "both"
        case _:
            return ""
