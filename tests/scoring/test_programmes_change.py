"""Programmes change while a log is fed, including crashes and heals: the emitted rows are those of the final profiles,
or their relationship is stale; after a heal all of them are.

As many logs are tried as other properties have examples, at most 150 with notice and 150 without; `RANDOM_LOGS=5000`
tries so many of each."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import pytest

from schemas.events import OfPartition, ProfileSet
from schemas.primitives import from_micros, to_micros
from schemas.programs import PROFILE_NOTICE, Profile, WatchLevels, Weights
from services.scoring.domain.bounds import DAY
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.history import ScoreHistory
from services.scoring.domain.partition import ScoredPartition
from services.scoring.domain.profiles import Profiles, Programmes
from services.scoring.domain.timeline import PROFILE_CHANGED
from services.scoring.domain.verification import ComparableRow, comparable
from tests.scoring.building import at, held, profile_set
from tests.scoring.chances import live
from tests.scoring.effort import PROPERTY
from tests.scoring.random_logs import ORIGIN, random_log
from tests.scoring.readers import statements, table
from tests.scoring.simulation import Crash, Play

CASES = int(os.environ.get("RANDOM_LOGS", str(min(150, PROPERTY.max_examples // 2))))
FIRST = Profile(version="default-1")


@dataclass
class Changing(Play):
    """Its programme gets further versions, as events of the log. With `notice` they begin after everything that may be
    emitted, including what a dead worker emitted and never acknowledged; without, at any time."""

    rng: Random = field(default_factory=Random)
    notice: bool = True
    versions: tuple[Profile, ...] = (FIRST,)
    reached: int = ORIGIN

    def feed(self, count: int) -> None:
        super().feed(count)
        self.reached = max(self.reached, *(to_micros(r.event.recordedtime) for r in self.broker.log if r.event))
        if self.rng.random() < 0.3:
            self.describe()

    def tick(self, ahead: int, crash: Crash | None = None) -> None:
        self.reached = max(self.reached, self.alive().partition.clock + ahead)
        super().tick(ahead, crash)

    def tick_a_little(self, ahead: int, phases: int) -> None:
        self.reached = max(self.reached, self.alive().partition.clock + ahead)
        super().tick_a_little(ahead, phases)

    def describe(self) -> None:
        self.versions, end = tuple(self._changed()), len(self.broker.log)
        described = ("", profile_set(from_micros(self.reached), *self.versions))
        self.events = [*self.events[:end], described, *self.events[end:]]
        super().feed(1)

    @property
    def places(self) -> set[int]:
        """Where on the log the profiles are."""
        return {offset for offset, (_, event) in enumerate(self.events) if isinstance(event, ProfileSet)}

    def _changed(self) -> Iterator[Profile]:
        """Versions in force stay, future ones may not; plus a new version."""
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


@pytest.mark.parametrize("seed", range(CASES))
@pytest.mark.parametrize("notice", [True, False])
def test_rows_are_those_of_the_profiles_in_the_end_or_stale(seed: int, *, notice: bool) -> None:
    rng = Random(seed)
    play = Changing(random_log(rng), rng=rng, notice=notice)

    partition = live(play, rng)

    assert not play.notice or not any(state.stale_position in play.places for state in partition.states.values())
    assert wrong(play, partition, stale_of(partition)) == {}
    play.begin_heal()
    play.go_on_healing(10**9)
    play.restart()
    partition = play.alive().partition
    assert wrong(play, partition, stale_of(partition)) == {}
    changed_late = [state for state in partition.states.values() if state.stale_position in play.places]
    assert not [state for state in changed_late if state.stale_position > state.healed_position]


@pytest.mark.parametrize("lands", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("phase", range(12))
def test_a_profile_without_notice_that_a_worker_emits_by_and_dies_of_leaves_nothing_silently_wrong(
    phase: int, share: float, *, lands: bool
) -> None:
    """The worker dies in each of its phases, before and after what it has applied is known; what it wrote last may come
    an hour later."""
    own = Profile(version="own", weights=Weights(rhythm=60), cadence_days=5)
    log = [("t/x", held(0)), ("t/x", held(3)), ("", profile_set(at(3.5), own)), ("t/x", held(3.6)), ("t/x", held(5))]
    numbered = [(key, event.model_copy(update={"id": str(number)})) for number, (key, event) in enumerate(log)]
    play = Changing(numbered, notice=False, versions=(own,))

    Play.feed(play, 2)
    play.run(2)
    play.tick(DAY // 3)
    Play.feed(play, 3)
    play.run(3, Crash(phase, share, lands))
    play.restart(Crash(0, share, lands))
    partition = play.finish()

    assert wrong(play, partition, stale_of(partition)) == {}
    assert stale_of(partition) == {"t/x"}
    play.begin_heal()
    play.go_on_healing(10**9)
    play.restart()
    partition = play.alive().partition
    assert stale_of(partition) == set()
    assert wrong(play, partition, set()) == {}


def test_a_heal_that_the_group_has_forgotten_writes_nothing_any_more() -> None:
    """It stood still while the profiles changed once more and another heal did all of it: by the profiles that it knows
    it would replace what is right."""
    first, second = (Profile(version=name, weights=Weights(rhythm=rhythm)) for name, rhythm in (("a", 60), ("b", 5)))
    log = [("t/x", held(0)), ("t/x", held(3)), ("", profile_set(at(3.5), first)), ("", profile_set(at(3.6), second))]
    play = Changing(log, notice=False, versions=(second,))
    Play.feed(play, 3)
    play.run(3)
    play.begin_heal()
    play.go_on_healing(1)
    Play.feed(play, 1)
    play.run(1)

    play.begin_heal()
    assert play.refused == 1
    play.begin_heal(forgets=True)
    play.go_on_healing(10**9)
    play.thaw()
    play.restart()
    partition = play.alive().partition

    assert stale_of(partition) == set()
    assert wrong(play, partition, set()) == {}


def test_the_random_programmes_change_enough() -> None:
    stale = healed = changed = 0
    for seed in range(60):
        rng = Random(seed)
        play = Changing(random_log(rng), rng=rng, notice=seed % 2 == 0)
        states = live(play, rng).states.values()
        changed_late = [state for state in states if state.stale_position in play.places]
        stale += bool(changed_late)
        healed += any(state.healed_position >= state.stale_position for state in changed_late)
        rows = [record.emission.row for record in play.broker.scores]
        changed += any(PROFILE_CHANGED in row.causes for row in rows if row is not None)

    assert stale > 5
    assert healed > 1
    assert changed > 20


def stale_of(partition: ScoredPartition) -> set[str]:
    return {key for key, state in partition.states.items() if state.is_stale(partition.clock)}


def wrong(play: Changing, partition: ScoredPartition, stale: set[str]) -> dict[str, list[int]]:
    programmes = Programmes()
    programmes.apply("t", "p", Profiles(play.versions), 0)
    return wrong_of(play, partition, stale, programmes)


def wrong_of(play: Play, partition: ScoredPartition, stale: set[str], programmes: Programmes) -> dict[str, list[int]]:
    """{relationship: instants} at which table and truth differ."""
    found = {}
    for key in sorted({key for key, _ in play.events if key} - stale):
        true = truth(play, key, partition.clock, programmes)
        record = statements(table(play.broker.rows), key, 2**62)
        if different := [at for at in sorted(true.keys() | record.keys()) if true.get(at) != record.get(at)]:
            found[key] = different
    return found


def truth(play: Play, key: str, upto: int, programmes: Programmes) -> dict[int, ComparableRow]:
    history = FullHistory()
    for offset, (name, event) in enumerate(play.events):
        if name == key and not isinstance(event, OfPartition):
            history.add(event, offset)
    profiles = programmes.of(key, history.program)
    return {at: comparable(row) for at, row in ScoreHistory(history.facts, profiles).rows(-1, upto).items()}
