"""Units, and the bounds of memory and history. Each is a module attribute, read where it is used."""

ONE = 1_000_000
"""Millionths, in which scores are compared, stored and sent."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
"""Microseconds, as all times here."""

HORIZON = 60 * DAY
"""Facts newer than the newest one less this are kept whole."""

GROUP_CAPACITY = 512
"""Facts of one group that are kept whole; 8 a day for the whole horizon."""

LOOKBACK = 28 * DAY
"""How far a row looks back: its trend, and its deltas at the most."""

FLOOR = 30 * DAY
"""Rows no older than this are exact: HORIZON - FLOOR covers LOOKBACK."""

CONTACT_DAYS = 60
"""Contact days that the disengagement model looks at."""

CONTACT_WINDOW_DAYS = 182
"""Calendar days before the newest contact day that it looks at: half a year, the longest gap worth learning from."""

NONE = -1
"""No position, no clock."""

UNSET = -(2**63)
"""A time or number that an event left out."""

FOREVER = 2**62
"""The end of what has none yet."""


def millionths(value: float) -> int:
    return round(value * ONE)
