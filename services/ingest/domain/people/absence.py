"""When somebody's leave or exit takes effect, and the ids of the pauses that come of it."""

from datetime import UTC, date, datetime, time
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.ingest.domain.tools.derived import digest
from services.ingest.domain.tools.said import Employed


class Absence(NamedTuple):
    """`cause` tells it from other absences of the same person: the day it begins, else the statement that told it."""

    begin: datetime
    until: datetime | None
    cause: str

    def pause_id(self, participant: str) -> str:
        return f"{pauses_of(participant)}{digest('absence', participant, self.cause)[:16]}"


def absence(said: Employed) -> Absence:
    """Raises OverflowError for a day that no time zone can place."""
    begin = said.time if said.left_on is None else start_of(said.left_on, said)
    until = None if said.back_on is None else start_of(said.back_on, said)
    return Absence(begin, until, said.left_on.isoformat() if said.left_on else said.key)


def pauses_of(participant: str) -> str:
    """What the ids of all pauses begin with that this person's absences brought about, whoever told of them."""
    return f"absence-{digest('person', participant)[:16]}-"


def start_of(day: date, said: Employed) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(said.time_zone)).astimezone(UTC)
