"""BG/NBD against its own definition: simulated customers."""

import math

import numpy as np
import pytest
from scipy.special import beta, gamma

from services.scoring.domain.backtesting.baselines import BgNbd, fit_bgnbd, log_likelihood, silent
from services.scoring.domain.backtesting.cases import ContactSummary

TRUE = BgNbd(r=0.6, alpha=12.0, a=0.8, b=2.5)
AGE, HORIZON = 200.0, 45.0


def one(repeats: float, recency: float, age: float) -> ContactSummary:
    return ContactSummary(np.array([repeats]), np.array([recency]), np.array([age]))


def simulated(count: int, seed: int) -> tuple[ContactSummary, "np.ndarray[tuple[int], np.dtype[np.bool_]]"]:
    """Customers observed for AGE days, and whether no visit came in the HORIZON after that."""
    chance = np.random.default_rng(seed)
    repeats, recency, silent_then = np.zeros(count), np.zeros(count), np.zeros(count, dtype=bool)
    rates, drops = chance.gamma(TRUE.r, 1 / TRUE.alpha, count), chance.beta(TRUE.a, TRUE.b, count)
    for customer in range(count):
        visits = _visits(chance, rates[customer], drops[customer])
        seen = [visit for visit in visits if visit <= AGE]
        repeats[customer], recency[customer] = len(seen), seen[-1] if seen else 0.0
        silent_then[customer] = len(seen) == len(visits)
    return ContactSummary(repeats, recency, np.full(count, AGE)), silent_then


def _visits(chance: np.random.Generator, rate: float, drop: float) -> list[float]:
    """After the first one at 0, until AGE + HORIZON or the customer drops out."""
    visits: list[float] = []
    at = chance.exponential(1 / rate)
    while at <= AGE + HORIZON:
        visits.append(at)
        if chance.random() < drop:
            break
        at += chance.exponential(1 / rate)
    return visits


def test_the_likelihood_is_equation_6_of_the_paper() -> None:
    r, alpha, a, b = TRUE
    x, t_x, t = 3, 20.0, 50.0
    still = beta(a, b + x) / beta(a, b) * gamma(r + x) * alpha**r / (gamma(r) * (alpha + t) ** (r + x))
    gone = beta(a + 1, b + x - 1) / beta(a, b) * gamma(r + x) * alpha**r / (gamma(r) * (alpha + t_x) ** (r + x))

    assert log_likelihood(TRUE, one(x, t_x, t))[0] == pytest.approx(math.log(still + gone))


def test_without_a_second_visit_nobody_has_dropped_out() -> None:
    expected = TRUE.r * math.log(TRUE.alpha / (TRUE.alpha + 50))

    assert log_likelihood(TRUE, one(0, 0, 50))[0] == pytest.approx(expected)
    assert silent(TRUE, one(0, 0, 50), 10)[0] == pytest.approx((62 / 72) ** TRUE.r)


def test_the_parameters_of_simulated_customers_are_found_again() -> None:
    summary, _ = simulated(6_000, seed=5)

    found = fit_bgnbd(summary)

    assert found.r == pytest.approx(TRUE.r, rel=0.1)
    assert found.alpha == pytest.approx(TRUE.alpha, rel=0.15)
    assert found.a / (found.a + found.b) == pytest.approx(TRUE.a / (TRUE.a + TRUE.b), rel=0.1)


def test_as_many_simulated_customers_stay_away_as_is_said() -> None:
    summary, silent_then = simulated(6_000, seed=6)

    said = silent(TRUE, summary, HORIZON)

    for low, high in ((0.0, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 0.95), (0.95, 1.0)):
        chosen = (said >= low) & (said < high)
        assert silent_then[chosen].mean() == pytest.approx(said[chosen].mean(), abs=0.05)


def test_silence_becomes_likelier_with_every_day_of_silence_and_less_likely_with_the_horizon() -> None:
    quiet = ContactSummary(np.full(3, 10.0), np.full(3, 50.0), np.array([50.0, 80.0, 120.0]))

    chances = silent(TRUE, quiet, 30)

    assert chances[0] < chances[1] < chances[2] < 1
    assert silent(TRUE, quiet, 60)[0] < chances[0]
    assert silent(TRUE, quiet, 0)[0] == pytest.approx(1)
