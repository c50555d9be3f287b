"""Snapshots: grown or read at once, one by one or in columns, they give the same to the last bit."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest

from services.scoring.domain import bounds
from services.scoring.domain.bounds import DAY
from services.scoring.domain.crossings import SilentPeriods
from services.scoring.domain.evaluation import (
    Moment,
    evaluation_of,
    evaluations_of,
    midnights,
    scores_of,
    trend_of,
    trends,
)
from services.scoring.domain.kinds import FactKind
from services.scoring.domain.layout import facts_bytes
from services.scoring.domain.memory import SELECTED_PER_GROUP, trimmed
from services.scoring.domain.profiles import DEFAULT, Profiles
from services.scoring.domain.snapshots.index import FactIndex
from services.scoring.domain.snapshots.snapshot import Snapshot
from services.scoring.domain.timeline import Timeline
from tests.scoring.building import micros
from tests.scoring.full_logs import CHANGING, relationships

PROFILES = pytest.mark.parametrize("profiles", [DEFAULT, CHANGING], ids=["one version", "three versions"])


@PROFILES
def test_a_snapshot_that_grew_fact_by_fact_is_the_one_that_is_read_anew(profiles: Profiles) -> None:
    for facts in relationships(40):
        keys = sorted(facts)
        grown = Timeline({keys[0]: facts[keys[0]]}, profiles)
        for key in keys[1:]:
            grown.at(key.time - 1)
            grown.append(key, facts[key])
        for at in sorted({key.time for key in facts}):
            assert content(grown.at(at)) == content(Timeline(facts, profiles).at(at))


@PROFILES
def test_many_scores_at_once_are_those_that_are_computed_one_by_one(profiles: Profiles) -> None:
    """Of as many as there are, of a few of them, and of one snapshot over time."""
    moments = [
        Moment(timeline.at(key.time), key.time + days * DAY // 3)
        for facts in relationships(90)
        for timeline in [Timeline(facts, profiles)]
        for key in sorted(facts)[::3]
        for days in (0, 1, 40)
        if timeline.at(key.time).exists
    ]
    single = [snapshot.scores(at) for snapshot, at in moments]

    assert len(moments) > 2_000
    assert scores_of(moments) == single
    assert scores_of(moments[7:1_000]) == single[7:1_000]
    full = [evaluation_of(moment.snapshot, scores) for moment, scores in zip(moments, single, strict=True)]
    assert evaluations_of(moments) == full
    assert evaluations_of(moments[7:1_000]) == full[7:1_000]
    assert evaluations_of(moments[:3]) == full[:3]
    for moment in (
        one for one in moments[::20] if not (one.snapshot.frame.pauses.spans or one.snapshot.meetings.bookings)
    ):
        later = np.arange(60) * (DAY // 24)
        snapshot, at = moment
        found = SilentPeriods(
            snapshot.aging, snapshot.active(at), float(max(snapshot.meetings.bookings, default=0) > at)
        ).scores(later)
        health, risk = found.health, found.risk
        one_by_one = [moment.snapshot.scores(moment.at + int(span)) for span in later]
        assert [*zip(health, risk, strict=True)] == [(scores.health, scores.risk) for scores in one_by_one]


def test_what_an_index_leaves_out_is_what_the_bounded_memory_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of short histories too: the bounds are small here."""
    monkeypatch.setattr(bounds, "HORIZON", 6 * DAY)
    monkeypatch.setattr(bounds, "GROUP_CAPACITY", 5)
    monkeypatch.setattr(bounds, "CONTACT_DAYS", 3)
    for name in SELECTED_PER_GROUP:
        monkeypatch.setitem(SELECTED_PER_GROUP, name, 2)
    all_kept = some_left_out = 0
    for facts in relationships(200):
        if any(key.kind == FactKind.ERASED for key in facts):
            continue
        index = FactIndex(facts)

        surplus = index.surplus()

        assert index.bytes.packed_without(surplus).unpacked() == trimmed(facts)
        assert index.bytes.packed_without(surplus).data == facts_bytes(trimmed(facts))
        all_kept, some_left_out = all_kept + (not surplus), some_left_out + bool(surplus)
    assert all_kept > 20
    assert some_left_out > 50


def test_many_trends_at_once_are_those_that_are_computed_one_by_one() -> None:
    rng = Random(1)
    rows = []
    for _ in range(2_000):
        newest = micros(60) + rng.randrange(DAY)
        points = [(at, rng.choice([None, rng.randrange(100_000_000)])) for at in midnights(newest)]
        rows.append([*points, (newest, rng.randrange(100_000_000))])

    many = trends_of(rows)

    assert many == [trend_of(points) for points in rows]
    assert len(set(many)) > 1_000
    assert trends_of([[(micros(1), None), (micros(8), 50_000_000)]] * 9) == [0] * 9


def trends_of(rows: Sequence[Sequence[tuple[int, int | None]]]) -> list[int]:
    times, healths = np.array(rows, dtype=np.float64).transpose(2, 1, 0)
    return trends(list(times), list(healths))


def content(snapshot: Snapshot) -> object:
    found = (snapshot.meetings, snapshot.messages, snapshot.pace, snapshot.goals, snapshot.reports)
    return snapshot.exists, snapshot.frame, found, snapshot.exists and (snapshot.aging, snapshot.sources)
