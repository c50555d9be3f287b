"""Killed at every named point of delivery, and at random: nothing is lost, nothing repeated that is not said."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from deploy.local.kafka import LocalKafka
from services.notify.domain.deliveries import KEYED
from tests.notify.crash_drill import NAMED, RANDOM, Report, drilled

WORLDS, MANY_WORLDS = 3, 5
"""Side by side: most of a takeover is waiting for the session of the dead to pass."""
ENDS_WITHIN_SECONDS = 60.0
"""A session lasts 10 s; the rest is for a machine that starts six processes at a time."""


def drill(kafka: LocalKafka, folder: Path, kills: Sequence[str], worlds: int = WORLDS) -> Report:
    shares = [list(kills[number::worlds]) for number in range(worlds)]
    with ThreadPoolExecutor(worlds) as pool:
        running = [
            pool.submit(drilled, kafka, folder / f"world-{number}", share, number)
            for number, share in enumerate(shares)
        ]
        found = Report()
        for one in running:
            found.add(one.result())
    print(f"\n{found.table()}")  # noqa: T201 (the table is what the drill is for)
    return found


def holds_what_is_promised(found: Report) -> None:
    assert (found.decided_twice, found.undecided) == (0, 0)
    assert found.by_itself == []
    assert [account.lost for account in found.accounts.values()] == [0] * 4
    assert [account.unmarked for account in found.accounts.values()] == [0] * 4
    unkeyed = {name: account for name, account in found.accounts.items() if name not in KEYED}
    assert {name: account.most_at_once <= 1 for name, account in unkeyed.items()} == {"slack": True, "smtp": True}
    assert all(account.repeated <= len(found.kills) for account in unkeyed.values())
    assert max(found.takeovers) < ENDS_WITHIN_SECONDS


def test_killed_at_some_points_of_delivery_nothing_is_lost(local_kafka: LocalKafka, tmp_path: Path) -> None:
    kills = ["in transaction", "held by slack", "committed", "outcomes in transaction", "held by webhook", "after smtp"]

    found = drill(local_kafka, tmp_path, kills)

    holds_what_is_promised(found)
    assert len(found.kills) >= len(kills)


@pytest.mark.drill
@pytest.mark.timeout(5_400)
def test_killed_200_times_nothing_is_lost(local_kafka: LocalKafka, tmp_path: Path) -> None:
    named = [point for point in NAMED for _ in range(7)]
    by_chance = [RANDOM[0] if number % 5 else RANDOM[1 + number // 5 % 2] for number in range(200 - len(named))]
    kills = Random(200).sample([*named, *by_chance], 200)

    found = drill(local_kafka, tmp_path, kills, MANY_WORLDS)

    holds_what_is_promised(found)
    assert len(found.kills) == 200
    assert set(NAMED) <= {kill.point for kill in found.kills}
