"""Spans and instants as people say them."""

from datetime import timedelta

from schemas.primitives import Instant

DAY = timedelta(days=1)


def days(count: float) -> str:
    whole = round(count)
    return "1 day" if whole == 1 else f"{whole} days"


def span(length: timedelta) -> str:
    """Hours below two days, days above."""
    return days(length / DAY) if length >= 2 * DAY else f"{length / timedelta(hours=1):.0f} h"


def instant(moment: Instant) -> str:
    """`3 May 2023 12:00 UTC`"""
    return f"{moment.day} {moment:%b %Y %H:%M} UTC"
