"""Snapshots: grown or read at once, one by one or in columns, they give the same to the last bit."""

import numpy as np
import pytest

from services.scoring.domain.bounds import DAY
from services.scoring.domain.evaluation import Moment, scores_at, scores_of, scores_over
from services.scoring.domain.kinds import Kind
from services.scoring.domain.memory import trimmed
from services.scoring.domain.profiles import DEFAULT, Profiles
from services.scoring.domain.snapshots.index import FactIndex
from services.scoring.domain.snapshots.snapshot import Snapshot
from services.scoring.domain.snapshots.timeline import Timeline
from tests.scoring.whole_logs import CHANGING, relationships

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
    single = [scores_at(moment) for moment in moments]

    assert len(moments) > 2_000
    assert scores_of(moments) == single
    assert scores_of(moments[7:1_000]) == single[7:1_000]
    for moment in (
        one for one in moments[::20] if not (one.snapshot.frame.pauses.spans or one.snapshot.meetings.bookings)
    ):
        later = np.arange(60) * (DAY // 24)
        health, risk = scores_over(moment, later)
        one_by_one = [scores_at(Moment(moment.snapshot, moment.at + int(span))) for span in later]
        assert [*zip(health, risk, strict=True)] == [(scores.health, scores.risk) for scores in one_by_one]


def test_facts_that_fit_into_the_memory_are_kept_by_it() -> None:
    fitting = 0
    for facts in relationships(200):
        if FactIndex(facts).fits_memory() and not any(key.kind == Kind.ERASED for key in facts):
            fitting += 1
            assert trimmed(facts) == facts

    assert fitting > 50


def content(snapshot: Snapshot) -> object:
    found = (snapshot.meetings, snapshot.messages, snapshot.pace, snapshot.goals, snapshot.voices)
    return snapshot.exists, snapshot.frame, found, snapshot.exists and (snapshot.aging, snapshot.sources)
