"""What may follow the profile in force, and when it is better for sure."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pytest

from schemas.programs import Coefficients, Profile
from services.scoring.domain.backtesting.calibration import DEFAULTS, NotLearnable
from services.scoring.domain.backtesting.calibration_record import Candidate, candidate
from services.scoring.domain.backtesting.cases import Pair, PairHistories
from tests.scoring.backtesting.pairs import many, met, pairs_of, plan

FROM = datetime(2026, 1, 1, tzinfo=UTC)
HISTORY = many(200, 900, seed=3)


def track(pairs: Sequence[Pair], _: str) -> Iterable[Pair]:
    return pairs


def found(in_force: Profile, histories: PairHistories = HISTORY) -> Candidate:
    one = candidate(histories, plan(), in_force, 0.25, track)
    assert isinstance(one, Candidate)
    return one


def test_what_predicts_better_for_sure_on_the_last_quarter_may_follow() -> None:
    wrong = Profile(version="v1", coefficients=DEFAULTS.model_copy(update={"base": 4.0}))

    one = found(wrong)

    assert one.is_better
    assert 0 < one.gain.low < one.gain.value < one.gain.high
    assert one.held_out.after.brier < one.held_out.before.brier
    assert one.gain.value == pytest.approx(one.held_out.before.brier - one.held_out.after.brier, abs=1e-5)


def test_it_is_learnt_only_from_what_was_over_before_that_quarter() -> None:
    one = found(Profile(version="v1"))

    assert one.record.end == one.held_out.since
    assert one.record.cases + one.held_out.cases < 10_000
    assert one.record.held_out == one.held_out


def test_the_next_night_the_same_is_no_better_than_itself() -> None:
    one = found(Profile(version="v1", coefficients=DEFAULTS.model_copy(update={"base": 4.0})))
    following = one.profile(Profile(version="v1"), FROM)

    again = found(following)

    assert again.record.coefficients == one.record.coefficients
    assert (again.gain.value, again.is_better) == (0.0, False)


def test_the_version_scores_as_the_one_in_force_but_for_what_was_learnt_and_says_what_it_rests_on() -> None:
    in_force = Profile(version="v1", cadence_days=21, calibration="of-old", coefficients=Coefficients(base=4))
    one = found(in_force)

    following = one.profile(in_force, FROM)

    assert following == in_force.model_copy(
        update={
            "version": one.record.calibration,
            "effective_from": FROM,
            "calibration": one.record.calibration,
            "coefficients": one.record.coefficients,
            "evidence": following.evidence,
        }
    )
    assert following.evidence is not None
    assert following.evidence.cases == one.record.cases
    assert following.evidence.judged == one.held_out.cases
    assert following.evidence.apart == one.held_out.after.ece


def test_of_little_nothing_is_learnt_and_the_reason_says_what_it_takes() -> None:
    few = candidate(many(12, 900, seed=3), plan(), Profile(version="v1"), 0.25, track)
    none = candidate(pairs_of(400, met([0.5, 1.5, 2.5])), plan(), Profile(version="v1"), 0.25, track)

    assert isinstance(few, NotLearnable)
    assert few.reason.endswith("it takes 100 of 20")
    assert isinstance(none, NotLearnable)
    assert "cases of 1 pairs to learn from" in none.reason
