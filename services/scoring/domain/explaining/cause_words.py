"""Why a row exists, in words: what happened at its instant, or what passing time alone brought about."""

from collections.abc import Iterator, Sequence

from services.scoring.domain.bounds import DAY
from services.scoring.domain.causes import BOOKING_STARTS, GOAL_STALLED, MIDNIGHT, PAUSE_BOUNDARY, PROFILE_CHANGED
from services.scoring.domain.explaining.event_words import WORDS
from services.scoring.domain.row import Row

OF_TIME = {
    BOOKING_STARTS: "a booked session was to begin",
    GOAL_STALLED: "the open goals count as stalled",
    PAUSE_BOUNDARY: "a pause begins or ends",
    PROFILE_CHANGED: "the programme's profile changes",
}


def cause_words(at: int, row: Row, told: Sequence[str]) -> tuple[str, ...]:
    """Of a row that is more than a midnight; `told`: what events say happened at this instant."""
    return (*told, *_of_time(at, row))


def passing(at: int, row: Row) -> str:
    """What it is that passes with time: `no contact for 12 days`."""
    if row.last_contact is not None and at - row.last_contact < DAY:
        return "time passes"
    return since_words("contact", row.last_contact, row.started, at)


def since_words(what: str, last: int | None, started: int, at: int) -> str:
    """`no session for 12 days`; without any, since the start."""
    days = spell((at - (started if last is None else last)) // DAY)
    return f"no {what} since the start, {days}" if last is None else f"no {what} for {days}"


def spell(days: float) -> str:
    whole = round(days)
    return "1 day" if whole == 1 else f"{whole} days"


def _of_time(at: int, row: Row) -> Iterator[str]:
    for cause in row.causes:
        if cause.startswith("crossing."):
            yield f"{passing(at, row)}: {_crossing(cause)}"
        elif cause != MIDNIGHT and cause not in WORDS:
            yield OF_TIME.get(cause, cause.replace(".", " ").replace("_", " "))


def _crossing(cause: str) -> str:
    """`crossing.risk.0.55`: `risk rises to 0.55`."""
    _, measure, level = cause.split(".", 2)
    return f"health falls to {level}" if measure == "health" else f"risk rises to {level}"
