"""The facts of many random relationships."""

from collections.abc import Iterable
from random import Random

from schemas.programs import Profile, Weights
from services.scoring.domain.facts import Fact, Facts, Key, facts_of, merge_into
from services.scoring.domain.profiles import Profiles
from tests.scoring.building import at
from tests.scoring.random_logs import random_log

CHANGING = Profiles(
    (
        Profile(version="a"),
        Profile(version="b", effective_from=at(9), weights=Weights(growth=6, expectations=4), review_days=5),
        Profile(version="c", effective_from=at(21.3), weights=Weights(rhythm=0, feedback=0), cadence_days=2),
    )
)
"""A programme whose profile changes in the midst of most logs."""


def relationships(count: int) -> list[Facts]:
    """Every third consists of six random logs, so that it has more facts than a score uses."""
    return [_facts([seed] if seed % 3 else range(6 * seed, 6 * seed + 6)) for seed in range(count)]


def _facts(seeds: Iterable[int]) -> Facts:
    found: dict[Key, Fact] = {}
    for seed in seeds:
        for offset, (_, event) in enumerate(random_log(Random(seed))):
            merge_into(found, facts_of(event, offset))
    return found
