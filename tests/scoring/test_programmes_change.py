"""Programmes change while a log is fed, crashes and heals included: the rows told are those of the profiles as they are
in the end, or their relationship is stale; after a heal all of them are.

`RANDOM_LOGS=5000` tries so many logs instead of the usual number."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import pytest

from schemas.events import OfRelationship
from schemas.primitives import from_micros, to_micros
from schemas.programs import PROFILE_NOTICE, Profile, WatchLevels, Weights
from services.scoring.domain import steps
from services.scoring.domain.account import Account
from services.scoring.domain.bounds import DAY
from services.scoring.domain.causes import PROFILE_CHANGED
from services.scoring.domain.history import History
from services.scoring.domain.partition import Partition
from services.scoring.domain.profiles import Profiles
from services.scoring.domain.programme_record import ProgrammeRecord
from services.scoring.domain.told_programmes import ProgrammeTable
from services.scoring.domain.verification import Statement, statement
from tests.scoring.chances import live
from tests.scoring.random_logs import ORIGIN, random_log
from tests.scoring.readers import statements, table
from tests.scoring.simulation import Crash, Play

CASES = int(os.environ.get("RANDOM_LOGS", "150"))
FIRST = Profile(version="default-1")


@dataclass
class Changing(Play):
    """Its programme gets further versions. With `notice` they begin after everything that may be out, also of what a
    dead worker told and never acknowledged; without, at any time, but then nothing of that kind is under way."""

    rng: Random = field(default_factory=Random)
    notice: bool = True
    topic: ProgrammeTable = field(default_factory=ProgrammeTable)
    versions: tuple[Profile, ...] = (FIRST,)
    told_upto: int = -1
    reached: int = ORIGIN

    def feed(self, count: int) -> None:
        super().feed(count)
        self.reached = max(self.reached, *(to_micros(r.event.recordedtime) for r in self.broker.log if r.event))
        if self.rng.random() < 0.3:
            self.describe()

    def run(self, count: int, crash: Crash | None = None) -> None:
        self.follow()
        super().run(count, crash)

    def tick(self, ahead: int, crash: Crash | None = None) -> None:
        self.follow()
        self.reached = max(self.reached, self.alive().partition.clock + ahead)
        super().tick(ahead, crash)

    def alive(self, crash: Crash | None = None) -> steps.Generation:
        while self.worker is None:
            worker, told = super().alive(crash), self.broker.recovered().told
            self.told_upto = self.topic.offset
            self._work(worker.told(self.topic.untold(told)), self._crash())
            crash = None
        return self.worker

    def follow(self) -> None:
        worker = self.alive()
        if self.topic.offset > self.told_upto:
            news, self.told_upto = self.topic.since(self.told_upto), self.topic.offset
            self._work(worker.told(news), self._crash())

    def describe(self) -> None:
        if not self.notice:
            self.land()
            self.run(len(self.events))
        self.versions = tuple(self._changed())
        self.topic.apply(ProgrammeRecord("t", "p", Profiles(self.versions), self.topic.offset + 1))
        if not self.notice:
            self.follow()

    def _changed(self) -> Iterator[Profile]:
        """What is in force stays, what is still to come may not; and a new version."""
        now = from_micros(self.reached) + PROFILE_NOTICE if self.notice else self._any_time()
        yield FIRST if self.notice or self.rng.random() < 0.8 else self._profile(None)
        for version in self.versions[1:]:
            begin = version.effective_from
            if begin is not None and begin < now:
                yield version
        yield self._profile(now + timedelta(days=self.rng.choice([0, 0.3, 1, 5])))

    def _any_time(self) -> datetime:
        return from_micros(self.rng.randint(ORIGIN, self.reached + 3 * DAY))

    def _profile(self, begin: datetime | None) -> Profile:
        return Profile(
            version=f"v{self.rng.randrange(10**9)}",
            effective_from=begin,
            weights=Weights(rhythm=self.rng.randint(0, 100), mutual=self.rng.randint(0, 100)),
            watch=WatchLevels(health=(self.rng.randint(20, 90),)),
            cadence_days=self.rng.randint(1, 20),
        )

    def _crash(self) -> Crash | None:
        """A write that lands an hour late is only for those without notice."""
        lands = not self.notice and self.rng.random() < 0.5
        return Crash(self.rng.randint(0, 4), self.rng.random(), lands) if self.rng.random() < 0.3 else None


@pytest.mark.parametrize("seed", range(CASES))
@pytest.mark.parametrize("notice", [True, False])
def test_rows_are_those_of_the_profiles_in_the_end_or_stale(seed: int, *, notice: bool) -> None:
    rng = Random(seed)
    play = Changing(random_log(rng), rng=rng, notice=notice)

    partition = live(play, rng)

    assert not play.notice or not any(state.stale_programme >= 0 for state in partition.states.values())
    assert wrong(play, partition, stale_of(partition)) == {}
    play.begin_heal()
    play.go_on_healing(10**9)
    play.restart()
    partition = play.alive().partition
    assert wrong(play, partition, stale_of(partition)) == {}
    assert not any(state.stale_programme > state.healed_programme for state in partition.states.values())


def test_the_random_programmes_change_enough() -> None:
    stale = healed = changed = 0
    for seed in range(60):
        rng = Random(seed)
        play = Changing(random_log(rng), rng=rng, notice=seed % 2 == 0)
        states = live(play, rng).states.values()
        stale += any(state.stale_programme >= 0 for state in states)
        healed += any(state.healed_programme >= 0 for state in states)
        rows = [told.emission.row for told in play.broker.scores]
        changed += any(PROFILE_CHANGED in row.causes for row in rows if row is not None)

    assert stale > 5
    assert healed > 1
    assert changed > 20


def stale_of(partition: Partition) -> set[str]:
    return {key for key, state in partition.states.items() if state.is_stale(partition.clock)}


def wrong(play: Changing, partition: Partition, stale: set[str]) -> dict[str, list[int]]:
    """{relationship: instants} at which table and truth do not say the same."""
    found = {}
    for key in sorted({key for key, _ in play.events} - stale):
        true, told = truth(play, key, partition.clock), statements(table(play.broker.scores), key, 2**62)
        if different := [at for at in sorted(true.keys() | told.keys()) if true.get(at) != told.get(at)]:
            found[key] = different
    return found


def truth(play: Changing, key: str, upto: int) -> dict[int, Statement]:
    account = Account()
    for offset, (name, event) in enumerate(play.events):
        if name == key and isinstance(event, OfRelationship):
            account.add(event, offset)
    profiles = play.topic.programmes().of(key, account.program)
    return {at: statement(row) for at, row in History(account.facts, profiles).rows(-1, upto).items()}
