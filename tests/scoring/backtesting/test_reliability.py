"""Predictions beside outcomes, in tenths."""

import numpy as np

from services.scoring.domain.backtesting.measures import Bin, reliability


def test_only_tenths_with_cases_are_told_each_with_both_means() -> None:
    found = reliability(np.array([0.0, 1.0, 1.0]), np.array([0.25, 0.27, 1.0]))

    assert found == (Bin(0.2, 0.3, 2, 0.26, 0.5), Bin(0.9, 1.0, 1, 1.0, 1.0))
