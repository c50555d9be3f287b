"""A profile as the score reads it."""

import math
from typing import NamedTuple

from schemas.programs import Profile
from services.scoring.domain.bounds import DAY
from services.scoring.domain.score import FEATURES, LOWERING, STALLED_REVIEWS


class Parameters(NamedTuple):
    """`weights` of the factors, in the order of score.FACTORS; `coefficients` in that of score.FEATURES, with their
    signs. Spans in days."""

    weights: tuple[float, ...]
    base: float
    coefficients: tuple[float, ...]
    cadence: float
    review: float
    horizon: float

    @property
    def stalled_after(self) -> int:
        """Active microseconds after which an open goal is stalled."""
        return math.floor(STALLED_REVIEWS * self.review * DAY + 0.5)


def parameters(profile: Profile) -> Parameters:
    """A missed meeting weighs the same for either side."""
    c = profile.coefficients
    slopes = (c.silence, c.pace, c.history, c.missed, c.cancelled_late, c.goal_stalled, c.rating_drop, c.booked)
    return Parameters(
        weights=tuple(float(weight) for _, weight in profile.weights),
        base=float(c.base),
        coefficients=tuple(
            float(-slope if name in LOWERING else slope) for name, slope in zip(FEATURES, slopes, strict=True)
        ),
        cadence=float(profile.cadence_days),
        review=float(profile.review_days),
        horizon=float(profile.horizon_days),
    )
