"""When a person is away, as one statement of a feed has it, and the ids that derive from it."""

from datetime import UTC, date, datetime, time
from typing import NamedTuple
from zoneinfo import ZoneInfo

from schemas.directory import EmploymentChange, Participant
from services.ingest.domain.activity import Employed, Native
from services.ingest.domain.ids import digest
from services.ingest.domain.scope import ConnectionScope


class Absence(NamedTuple):
    """`cause` distinguishes absences of the same person: the day it begins, else the key of its statement."""

    begin: datetime
    until: datetime | None
    cause: str

    def pause_id(self, participant: str) -> str:
        return f"{pauses_of(participant)}{digest('absence', participant, self.cause)[:16]}"


def absence(activity: Employed) -> Absence:
    """Raises OverflowError for a day that no time zone can place."""
    begin = activity.time if activity.left_on is None else start_of(activity.left_on, activity)
    until = None if activity.back_on is None else start_of(activity.back_on, activity)
    return Absence(begin, until, activity.left_on.isoformat() if activity.left_on else activity.key)


def pauses_of(participant: str) -> str:
    """The prefix of the ids of all pauses for this person's absences, whichever feed reported them."""
    return f"absence-{digest('person', participant)[:16]}-"


def start_of(day: date, activity: Employed) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(activity.time_zone)).astimezone(UTC)


def activity_of(person: Participant, change: EmploymentChange) -> tuple[Employed, ConnectionScope]:
    """The activity that stated the change, and the connection that reported it."""
    activity = Employed(
        change.statement,
        change.told,
        Native(change.native_type, change.native_id),
        person.id,
        person.name,
        change.status,
        time_zone=change.time_zone,
        left_on=change.left_on,
        back_on=change.back_on,
    )
    return activity, ConnectionScope(person.tenant, change.program, change.tool, change.connection)
