"""A profile as the kernel reads it."""

from schemas.programs import Profile


def vector(profile: Profile) -> list[float]:
    """The numbers of a profile at the places that kernel.places names. A missed meeting weighs the same for either
    side."""
    weights = [float(weight) for _, weight in profile.weights]
    c = profile.coefficients
    spans = [float(profile.cadence_days), float(profile.review_days), float(profile.horizon_days)]
    model = [c.base, c.silence, c.pace, c.history, c.missed, c.cancelled_late, c.goal_stalled, c.rating_drop, c.booked]
    return [*weights, *spans, *map(float, model)]
