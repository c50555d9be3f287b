"""Which instants become cases, their features, and their outcomes."""

import numpy as np
import pytest

from services.scoring.domain.backtesting.calibration import probabilities
from services.scoring.domain.backtesting.cases import Cases, split
from services.scoring.domain.bounds import DAY, ONE
from services.scoring.domain.timeline import Timeline
from tests.scoring.backtesting.pairs import cases, days_of, many, met, pairs_of, plan
from tests.scoring.building import (
    Scorer,
    booked,
    cancelled,
    ended,
    erased,
    facts,
    held,
    message,
    micros,
    missed,
    paused,
    retraction,
)


def test_a_case_is_a_pair_with_three_contact_days_that_met_in_the_last_ninety() -> None:
    found = cases(pairs_of(400, met([0.5, 1.5, 20.5])))

    assert days_of(found) == [28, 42, 56, 70, 84, 98]


def test_the_cut_offs_are_the_same_for_all_pairs() -> None:
    found = cases(pairs_of(200, met([0.5, 1.5, 20.5]), met([50, 51, 52])), active_days=30)

    assert days_of(found) == [28, 42, 56, 70]
    assert list(found.pair) == [0, 0, 1, 1]


def test_a_horizon_must_lie_within_what_is_known() -> None:
    assert days_of(cases(pairs_of(73, met([0.5, 1.5, 20.5])), horizon_days=45)) == [28]
    assert days_of(cases(pairs_of(72.9, met([0.5, 1.5, 20.5])), horizon_days=45)) == []


def test_it_fades_if_no_contact_comes_within_the_horizon() -> None:
    found = cases(pairs_of(400, met([0.5, 1.5, 2.5, 50.5])), horizon_days=30, active_days=60)

    assert dict(zip(days_of(found), found.faded, strict=True)) == {
        14: 1.0, 28: 0.0, 42: 0.0, 56: 1.0, 70: 1.0, 84: 1.0, 98: 1.0,
    }  # fmt: skip


def test_a_contact_at_the_cut_off_is_known_and_one_at_the_end_of_the_horizon_counts() -> None:
    found = cases(pairs_of(400, met([0.5, 1.5, 14.0, 44.0])), horizon_days=30, active_days=1)

    assert (days_of(found), list(found.faded), list(found.silence)) == ([14], [0.0], [0.0])


def test_messages_are_contacts_and_what_was_retracted_is_none() -> None:
    wrong = held(40.5)
    pair = facts(held(0.5), message(1.5, "mentee"), held(2.5), wrong, retraction(41, wrong))

    found = cases(pairs_of(400, pair), active_days=40)

    assert (days_of(found), set(found.faded)) == ([14, 28, 42], {1.0})


def test_the_contacts_are_counted_as_days_from_the_first() -> None:
    found = cases(pairs_of(400, met([0.5, 0.6, 1.5, 20.5])), active_days=10)

    assert [list(column) for column in found.summary] == [[2.0], [20.0], [28.0]]
    assert list(found.silence) == [7.5]


def test_who_is_paused_or_ended_within_the_horizon_makes_no_case() -> None:
    open_, leave = met([0.5, 1.5, 2.5]), met([0.5, 1.5, 2.5], paused(50, until=80))
    over, away = met([0.5, 1.5, 2.5], ended(50)), met([0.5, 1.5, 2.5], paused(5))

    assert days_of(cases(pairs_of(400, open_))) == [14, 28, 42, 56, 70, 84]
    assert days_of(cases(pairs_of(400, leave))) == [14, 84]
    assert days_of(cases(pairs_of(400, over))) == [14]
    assert days_of(cases(pairs_of(400, away))) == []


def test_nothing_is_learnt_from_who_was_erased() -> None:
    found = cases(pairs_of(400, met([0.5, 1.5, 2.5], erased(300)), met([0.5, 1.5, 2.5])))

    assert set(found.pair) == {0}
    assert found.pairs == 1


def test_scoring_at_a_cut_off_is_the_live_one() -> None:
    pair = facts(
        held(0.5),
        held(8.5),
        message(9.5, "mentor"),
        missed(16.5, "mentee"),
        booked(18, "next", 40),
        cancelled(19, "next", notice=2),
        held(30.5),
    )
    histories, asked = pairs_of(200, pair), plan(horizon_days=45)
    profile = asked.profiles.at(0)

    found = cases(histories, horizon_days=45)
    live = [Scorer(Timeline(pair, asked.profiles).at(int(at))).numbers(int(at)) for at in found.at]

    assert found.count > 4
    assert [round(health * ONE) for health in found.health] == [health for health, _ in live]
    risks = [round(chance * ONE) for chance in probabilities(found.features, profile.coefficients)]
    assert risks == [risk for _, risk in live]


def test_nothing_after_the_cut_off_is_looked_at() -> None:
    early = [0.5, 7.5, 13.5]
    short, long = pairs_of(400, met(early)), pairs_of(400, met([*early, 29.5, 31.5, 60.5]), met([100]))

    def at_28(found: Cases) -> list[list[float]]:
        chosen = found.where((found.at == micros(28)) & (found.pair == 0))
        return [list(column[0]) if column.ndim > 1 else list(column) for column in (chosen.features, *chosen.summary)]

    assert at_28(cases(short)) == at_28(cases(long))


def test_no_outcome_that_calibrates_lies_after_the_split() -> None:
    histories = many(30, 700, seed=11)
    found = cases(histories, horizon_days=45)

    parts = split(found, histories.span, 0.6, 45 * DAY)

    assert parts.at == pytest.approx(histories.span.begin + 0.6 * (histories.span.end - histories.span.begin), abs=1)
    assert parts.earlier.at.max() + 45 * DAY <= parts.at <= parts.later.at.min()
    assert parts.earlier.count + parts.later.count < found.count, "those in between are seen by neither"


def test_what_calibrates_does_not_depend_on_what_comes_after_the_split() -> None:
    full = many(40, 700, seed=12)
    at = split(cases(full), full.span, 0.6, 30 * DAY).at
    cut = {pair.name: {key: fact for key, fact in pair.facts.items() if key.time <= at} for pair in full.pairs}
    early = pairs_of((at - micros(0)) / DAY, *(cut[pair.name] for pair in full.pairs if cut[pair.name]))

    before = split(cases(full), full.span, 0.6, 30 * DAY).earlier

    alone = cases(early)
    assert alone.count == before.count > 100
    assert np.array_equal(alone.features, before.features)
    assert np.array_equal(alone.faded, before.faded)
