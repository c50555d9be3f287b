"""A broker, a worker that may die between any two writes, and random logs: late, doubled, retracted, paused, out of
order. Everything but the crashes is the real domain."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from schemas import events as e
from schemas import payloads as p
from schemas.primitives import from_micros, to_micros
from schemas.programs import Profile
from services.scoring.domain import steps
from services.scoring.domain.bounds import DAY
from services.scoring.domain.changelog import Entry, Recovery
from services.scoring.domain.history import Row
from services.scoring.domain.partition import Emission, Partition

PROFILE = Profile(version="default-1")
TICK = DAY // 10
ORIGIN = 20_000 * DAY
KINDS = ["held", "message", "message", "missed", "cancelled", "started", "paused", "resumed", "ended", "booked"]
FEW_KINDS = [1, 2, 3, 6, len(KINDS), len(KINDS)]
CRASH = 0.3

Crash = tuple[int, float, bool]
"""At which phase, after which share of its writes, and whether the rest of them lands later."""


@dataclass
class Broker:
    log: list[steps.Record] = field(default_factory=list)
    scores: list[Emission] = field(default_factory=list)
    changelog: list[Entry] = field(default_factory=list)
    generations: int = 0

    def write(self, write: steps.Write) -> None:
        if isinstance(write, Entry):
            self.changelog.append(write)
        else:
            self.scores.append(write)

    def compact(self) -> None:
        last = {entry.key: i for i, entry in enumerate(self.changelog)}
        self.changelog = [
            entry for i, entry in enumerate(self.changelog) if last[entry.key] == i and entry.value is not None
        ]

    def recovered(self) -> Recovery:
        recovery = Recovery()
        for entry in self.changelog:
            recovery.add(entry.key, entry.value)
        return recovery.finish()


@dataclass
class Play:
    """Feeds a log to workers that crash. `late` are writes of the dead that are still under way."""

    events: list[tuple[str, e.OfRelationship]]
    broker: Broker = field(default_factory=Broker)
    worker: steps.Generation | None = None
    late: list[steps.Write] = field(default_factory=list)

    def feed(self, count: int) -> None:
        at = len(self.broker.log)
        for offset, (key, event) in enumerate(self.events[at : at + count], at):
            self.broker.log.append(steps.Record(offset, key, event))

    def run(self, count: int, crash: Crash | None = None) -> None:
        worker = self.alive()
        following = worker.partition.offset + 1
        records = self.broker.log[following : following + count]
        if records:
            self._step(worker.run(records), crash)

    def tick(self, ahead: int, crash: Crash | None = None) -> None:
        """The wall clock never runs ahead of what the next record was recorded at."""
        worker = self.alive()
        if worker.partition.offset + 1 < len(self.broker.log):
            return
        following = self.events[len(self.broker.log) :]
        limit = to_micros(following[0][1].recordedtime) if following else 2**62
        self._step(worker.tick(min(max(worker.partition.clock, ORIGIN) + ahead, limit)), crash)

    def restart(self, crash: Crash | None = None) -> None:
        self.worker = None
        self.alive(crash)

    def land(self) -> None:
        for write in self.late:
            self.broker.write(write)
        self.late = []

    def alive(self, crash: Crash | None = None) -> steps.Generation:
        while self.worker is None:
            recovery = self.broker.recovered()
            self.broker.generations += 1
            partition = Partition(PROFILE, recovery.states, recovery.watermark)
            self.worker = steps.Generation(self.broker.generations, partition, recovery.generations)
            if recovery.watermark.clock_next > recovery.watermark.clock:
                self._step(self.worker.resume(recovery.watermark.clock_next), crash)
            crash = None
        return self.worker

    def finish(self) -> Partition:
        self.feed(len(self.events))
        self.run(10**9)
        self.tick(3 * DAY + 4 * TICK)
        self.land()
        self.worker = None
        return self.alive().partition

    def _step(self, phases: Iterator[steps.Phase], crash: Crash | None) -> None:
        for number, phase in enumerate(phases):
            if crash and number == crash[0]:
                cut = int(crash[1] * (len(phase) + 1))
                for write in phase[:cut]:
                    self.broker.write(write)
                if crash[2]:
                    self.late += phase[cut:]
                self.worker = None
                return
            for write in phase:
                self.broker.write(write)


def table(scores: list[Emission]) -> dict[tuple[str, int], Row]:
    """What the warehouse holds: of each instant the row with the greatest position, of equal ones the last."""
    kept: dict[tuple[str, int], Emission] = {}
    for emission in scores:
        known = kept.get((emission.relationship, emission.as_of))
        if known is None or emission.position >= known.position:
            kept[emission.relationship, emission.as_of] = emission
    return {key: emission.row for key, emission in kept.items() if emission.row is not None}


def newest_told(scores: list[Emission]) -> dict[str, tuple[int, Row | None]]:
    """What notify shows: of each pair the `score.changed` with the greatest position and instant, the last of equals."""
    deciding: dict[str, Emission] = {}
    for emission in scores:
        known = deciding.get(emission.relationship)
        if emission.changed and (known is None or emission[3:1:-1] >= known[3:1:-1]):
            deciding[emission.relationship] = emission
    return {name: (emission.as_of, emission.row) for name, emission in deciding.items()}


# --- Random logs ------------------------------------------------------------------------------------------------------
def random_log(rng: Random) -> list[tuple[str, e.OfRelationship]]:
    pairs = ["t/x"] if rng.random() < 0.6 else ["t/x", "t/y"]
    kinds = rng.sample(KINDS, rng.choice(FEW_KINDS))
    slow = rng.choice([2, 6, 12, 25])
    lateness = rng.choice([_late, _late, _on_time])
    log: list[tuple[str, e.OfRelationship]] = []
    clock = ORIGIN + rng.randint(0, 10) * TICK
    for number in range(rng.randint(2, 30)):
        clock += rng.choice([0, 0, 1, rng.randint(0, slow), rng.randint(0, 2 * slow)]) * TICK
        clock += rng.randint(0, 1) * rng.randint(0, 2_500_000)
        clock += rng.randint(5, 15) * DAY * (rng.random() < 0.04)
        time = max(ORIGIN, clock - lateness(rng) * TICK)
        if rng.random() < 0.1:
            time = time // DAY * DAY
        log.append((rng.choice(pairs), _event(rng, rng.choice(kinds), str(number), (time, clock))))
        if rng.random() < 0.12:
            log.append(_copy(rng, *rng.choice(log), clock))
    return _with_retractions(rng, log)


def _late(rng: Random) -> int:
    return rng.choice([0, 0, 0, 0, -2, -1, 1, rng.randint(0, 10), rng.randint(0, 60), rng.randint(40, 200)])


def _on_time(rng: Random) -> int:
    return rng.choice([0, 0, -1, 1, rng.randint(0, 20)])


def _event(rng: Random, kind: str, number: str, times: tuple[int, int]) -> e.OfRelationship:
    time, recorded = (from_micros(micros) for micros in times)
    envelope = {"source": "/s", "id": number, "time": time, "recordedtime": recorded, "tenant": "t", "subject": "x"}
    envelope |= {"program": "p", "partitionkey": "t/x"}
    session, ahead = rng.choice("abc"), timedelta(hours=rng.randint(-12, 150))
    match kind:
        case "held":
            minutes = rng.choice([None, 30, 300])
            return e.SessionHeld(
                type="mentoring.session.held.v1",
                data=p.SessionHeld(session_id=session, started_at=time - timedelta(hours=1), minutes=minutes),
                **envelope,
            )
        case "missed":
            absent = rng.choice(["mentor", "mentee", "both"])
            return e.SessionMissed(
                type="mentoring.session.missed.v1",
                data=p.SessionMissed(session_id=session, absent=absent, evidence=rng.choice(["observed", "calendar"])),
                **envelope,
            )
        case "cancelled":
            return e.SessionCancelled(
                type="mentoring.session.cancelled.v1",
                data=p.SessionCancelled(session_id=session, notice_hours=rng.choice([None, 2, 50])),
                **envelope,
            )
        case "message":
            return e.MessageSent(
                type="mentoring.message.sent.v1",
                data=p.MessageSent(channel="chat", by=rng.choice(["mentor", "mentee"])),
                **envelope,
            )
        case "started":
            return e.RelationshipStarted(
                type="mentoring.relationship.started.v1",
                data=p.RelationshipStarted(mentors=("a",), mentees=("b",), cadence_days=rng.choice([None, 3, 7])),
                **envelope,
            )
        case "paused":
            begin = rng.choice([None, None, time + timedelta(hours=rng.randint(-36, 72))])
            until = rng.choice([None, (begin or time) + timedelta(hours=rng.randint(2, 144))])
            data = p.RelationshipPaused(pause_id=rng.choice("pq"), from_=begin, until=until, reason="leave")
            return e.RelationshipPaused(type="mentoring.relationship.paused.v1", data=data, **envelope)
        case "resumed":
            data_resumed = p.RelationshipResumed(pause_id=rng.choice([None, "p", "q"]))
            return e.RelationshipResumed(type="mentoring.relationship.resumed.v1", data=data_resumed, **envelope)
        case "ended" if rng.random() < 0.3:
            ended = p.RelationshipEnded(planned=True, reason_code="done", initiated_by="admin")
            return e.RelationshipEnded(type="mentoring.relationship.ended.v1", data=ended, **envelope)
        case _:
            booked = p.SessionScheduled(session_id=session, starts_at=time + ahead, ends_at=time + ahead * 2 + _HOUR)
            return e.SessionScheduled(type="mentoring.session.scheduled.v1", data=booked, **envelope)


_HOUR = timedelta(hours=200)


def _copy(rng: Random, key: str, event: e.OfRelationship, recorded: int) -> tuple[str, e.OfRelationship]:
    """A repeat, or a second event under the same id that says something else."""
    change: dict[str, object] = {"recordedtime": from_micros(recorded)}
    if rng.random() < 0.5 and isinstance(event, e.MessageSent):
        change["data"] = event.data.model_copy(update={"by": rng.choice(["mentor", "mentee"])})
    elif rng.random() < 0.3:
        change["time"] = event.time - timedelta(hours=rng.randint(0, 72))
    return key, event.model_copy(update=change)


def _with_retractions(rng: Random, log: list[tuple[str, e.OfRelationship]]) -> list[tuple[str, e.OfRelationship]]:
    share = rng.choice([0, 0.2, 0.4, 1])
    for key, target in rng.sample(log, rng.randint(0, int(share * len(log)))):
        index = log.index((key, target))
        at = rng.randint(0, len(log)) if rng.random() < 0.5 else min(len(log), index + rng.randint(1, 3))
        recorded = max(to_micros(target.time) - 2 * TICK, to_micros(log[at - 1][1].recordedtime) if at else 0)
        log.insert(at, (key, _retraction(rng, target, recorded)))
    return log


def _retraction(rng: Random, target: e.OfRelationship, recorded: int) -> e.EventRetracted:
    wanted = "none" if rng.random() < 0.1 else target.id
    data = p.EventRetracted(source=target.source, id=wanted, type=target.type, time=target.time, slot=_slot(target))
    return e.EventRetracted(
        source="/s",
        id=f"r{target.id}",
        type="mentoring.event.retracted.v1",
        time=from_micros(recorded),
        recordedtime=from_micros(recorded),
        tenant="t",
        subject="x",
        program="p",
        partitionkey="t/x",
        data=data,
    )


def _slot(target: e.OfRelationship) -> str:
    match target:
        case e.MessageSent():
            return target.data.by
        case e.SessionMissed():
            return target.data.absent
        case e.SessionCancelled() if target.data.notice_hours == 2:
            return "late"
        case _:
            return ""


# --- Random lives -----------------------------------------------------------------------------------------------------
def live(play: Play, rng: Random) -> Partition:
    """Feeds, runs, ticks, crashes, restarts, lands late writes and compacts at random until the log is through."""
    fed = 0
    while fed < len(play.events):
        count = rng.choice([1, 1, 2, 5, 12, 30])
        play.feed(count)
        fed += count
        if rng.random() < 0.3:
            play.run(30)
            play.tick(rng.choice([3, 12, 40, 100]) * TICK, _crash(rng))
        for _ in range(rng.randint(0, 3)):
            _act(play, rng)
        if rng.random() < 0.1:
            play.land()
            play.broker.compact()
    return play.finish()


def _act(play: Play, rng: Random) -> None:
    match rng.randint(0, 4):
        case 0:
            play.run(rng.choice([1, 2, 4, 30]), _crash(rng))
        case 1:
            play.run(30, _crash(rng))
        case 2:
            play.tick(rng.choice([0, 1, 5, 12, 40, 100]) * TICK, _crash(rng))
        case 3:
            play.restart(_crash(rng))
        case _:
            play.land()


def _crash(rng: Random) -> Crash | None:
    return (rng.randint(0, 3), rng.random(), rng.random() < 0.5) if rng.random() < CRASH else None
