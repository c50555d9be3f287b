"""What happens at random while a log is fed."""

from collections.abc import Callable, Mapping
from random import Random

from services.scoring.domain.partition import ScoredPartition
from tests.scoring.random_logs import TICK
from tests.scoring.simulation import Crash, Play

CRASH = 0.3
HEAL = 0.25
REPLAY = 0.06
COMPACTION = 0.1


def live(play: Play, rng: Random) -> ScoredPartition:
    """Feeds, runs, ticks, heals, crashes, restarts, lands late writes and compacts until the log is through."""
    fed = 0
    while fed < len(play.events):
        count = rng.choice([1, 1, 2, 5, 12, 30])
        play.feed(count)
        fed += count
        if rng.random() < 0.3:
            play.run(30)
            play.tick(rng.choice([3, 12, 40, 100]) * TICK, _crash(rng))
        for _ in range(rng.randint(0, 3)):
            _ACTIONS[rng.choice(sorted(_ACTIONS))](play, rng)
        if rng.random() < HEAL:
            play.begin_heal(forgets=rng.random() < 0.3)
            play.go_on_healing(rng.choice([0, 1, 3, 10**9]), _crash(rng))
        if rng.random() < REPLAY:
            play.begin_replay(forgets=rng.random() < 0.3)
            play.go_on_healing(rng.choice([0, 2, 10**9, 10**9]), _crash(rng))
        if rng.random() < COMPACTION:
            play.compact()
    return play.finish()


def _crash(rng: Random) -> Crash | None:
    return Crash(rng.randint(0, 3), rng.random(), rng.random() < 0.5) if rng.random() < CRASH else None


_ACTIONS: Mapping[str, Callable[[Play, Random], None]] = {
    "run": lambda play, rng: play.run(rng.choice([1, 2, 4, 30]), _crash(rng)),
    "run all": lambda play, rng: play.run(30, _crash(rng)),
    "tick": lambda play, rng: play.tick(rng.choice([0, 1, 5, 12, 40, 100]) * TICK, _crash(rng)),
    "tick a little": lambda play, rng: play.tick_a_little(rng.choice([5, 12, 40, 100]) * TICK, rng.randint(1, 3)),
    "restart": lambda play, rng: play.restart(_crash(rng)),
    "land": lambda play, _: play.land(),
    "thaw": lambda play, _: play.thaw(),
    "heal on": lambda play, rng: play.go_on_healing(rng.randint(1, 3), _crash(rng)),
}
