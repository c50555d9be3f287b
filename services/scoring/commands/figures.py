"""Numbers and instants as people read them."""

from schemas.primitives import from_micros
from services.scoring.domain.millionths import ONE


def tenths(value: int) -> str:
    """Of tenths of a point: `74.1`."""
    return f"{value / 10:.1f}"


def signed(value: int) -> str:
    """Of tenths of a point: `-3.1`."""
    return f"{value / 10:+.1f}"


def hundredths(value: int) -> str:
    """Of millionths: `0.63`."""
    return f"{value / ONE:.2f}"


def minute(at: int) -> str:
    """Of microseconds, in UTC: `2026-08-01 08:30`."""
    return f"{from_micros(at):%Y-%m-%d %H:%M}"


def spaced(name: str) -> str:
    return name.replace("_", " ")
