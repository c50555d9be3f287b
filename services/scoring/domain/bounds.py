"""Units, and the limits of memory and history. Read each as a module attribute where it is used, so that tests can
change it."""

ONE = 1_000_000
"""Millionths: the unit in which scores are compared, stored and sent."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
"""Microseconds, as all times here."""

HORIZON = 60 * DAY
"""Facts younger than this, relative to the newest one, are all kept."""

GROUP_CAPACITY = 512
"""Most facts of one group kept within the horizon: 8 a day."""

LOOKBACK = 28 * DAY
"""How far back a row looks: for its trend, and at most for its deltas."""

FLOOR = 30 * DAY
"""Rows younger than this are exact: HORIZON - FLOOR covers LOOKBACK."""

CONTACT_DAYS = 60
"""Contact days that the disengagement model uses."""

CONTACT_WINDOW_DAYS = 182
"""Calendar days before the newest contact day that the model uses: half a year, the longest gap worth learning from."""

NONE = -1
"""No position, no clock."""

UNSET = -(2**63)
"""A time or number missing from an event."""

FOREVER = 2**62
"""An end that is not set."""


def millionths(value: float) -> int:
    return round(value * ONE)
