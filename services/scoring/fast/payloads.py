"""What scoring reads of payloads, decoded without anything else: the log was validated when it was written."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from services.scoring.domain.bounds import HOUR, MINUTE, UNSET
from services.scoring.domain.contents import FIT, IMMEDIATE, LATE_NOTICE_HOURS, SMART_UNKNOWN, reference
from services.scoring.domain.kinds import BOTH, KIND_OF_TYPE, LATE, MENTEE, MENTOR, PLAIN, SLOTS
from services.scoring.domain.millionths import ONE, millionths

Numbers = tuple[int, int, int, int, int]
"""slot, first, second, ref, value, as facts and their keys have them."""
NOTHING = (UNSET, UNSET, 0, 0)
SIDE = {"mentor": MENTOR, "mentee": MENTEE}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_STEPS = 4


class Payload(msgspec.Struct):
    by: str = "system"
    evidence: str = "self_reported"


class Started(Payload):
    cadence_days: float | None = None


class Paused(Payload, kw_only=True):
    pause_id: str
    from_: datetime | None = msgspec.field(default=None, name="from")
    until: datetime | None = None


class Resumed(Payload):
    pause_id: str | None = None


class Booked(Payload, kw_only=True):
    session_id: str
    starts_at: datetime
    ends_at: datetime


class Cancelled(Payload, kw_only=True):
    session_id: str
    notice_hours: float | None = None


class Held(Payload, kw_only=True):
    session_id: str
    started_at: datetime
    minutes: float | None = None


class Missed(Payload, kw_only=True):
    session_id: str
    absent: str


class Smart(msgspec.Struct):
    specific: bool
    measurable: bool
    achievable: bool
    relevant: bool
    time_bound: bool


class Goal(Payload, kw_only=True):
    goal_id: str
    smart: Smart | None = None
    percent: float = 0.0


class Rated(Payload, kw_only=True):
    rating: float | None = None
    scale_min: float = 1
    scale_max: float = 5


class Fit(Payload, kw_only=True):
    fit: str


class Request(Payload, kw_only=True):
    request_id: str
    priority: str = "normal"


class Retracted(Payload, kw_only=True):
    source: str
    id: str
    type: str
    time: datetime
    slot: str = ""


def micros(moment: datetime | None) -> int:
    return UNSET if moment is None else (moment - _EPOCH) // _MICROSECOND


def _started(data: Started) -> Numbers:
    days = data.cadence_days
    return PLAIN, UNSET if days is None else round(days * 24 * HOUR), UNSET, 0, 0


def _paused(data: Paused) -> Numbers:
    return PLAIN, micros(data.from_), micros(data.until), reference(data.pause_id), 0


def _resumed(data: Resumed) -> Numbers:
    return PLAIN, UNSET, UNSET, 0 if data.pause_id is None else reference(data.pause_id), 0


def _booked(data: Booked) -> Numbers:
    return PLAIN, micros(data.starts_at), micros(data.ends_at), reference(data.session_id), 0


def _cancelled(data: Cancelled) -> Numbers:
    late = data.notice_hours is not None and data.notice_hours < LATE_NOTICE_HOURS
    return LATE if late else PLAIN, UNSET, UNSET, reference(data.session_id), 0


def _held(data: Held) -> Numbers:
    begin = micros(data.started_at)
    return PLAIN, begin, begin + round((data.minutes or 0) * MINUTE), reference(data.session_id), 0


def _missed(data: Missed) -> Numbers:
    return SLOTS[data.absent], UNSET, UNSET, reference(data.session_id), 0


def _goal_set(data: Goal) -> Numbers:
    smart = data.smart
    flags = SMART_UNKNOWN if smart is None else sum(getattr(smart, name) for name in smart.__struct_fields__)
    return reference(data.goal_id), UNSET, UNSET, 0, flags


def _goal_progressed(data: Goal) -> Numbers:
    return reference(data.goal_id), UNSET, UNSET, 0, millionths(data.percent / 100)


def _goal_ended(data: Goal) -> Numbers:
    return reference(data.goal_id), *NOTHING


def _rated(data: Rated) -> Numbers | None:
    if data.rating is None:
        return None
    share = (data.rating - data.scale_min) / (data.scale_max - data.scale_min)
    return SIDE[data.by], UNSET, UNSET, 0, millionths(share)


def _checked_in(data: Rated) -> Numbers | None:
    return None if data.rating is None else (SIDE[data.by], UNSET, UNSET, 0, (int(data.rating) - 1) * ONE // _STEPS)


def _pulse(data: Rated) -> Numbers | None:
    return None if data.by == "mentor" else _checked_in(data)


def _fit(data: Fit) -> Numbers:
    return SIDE[data.by], UNSET, UNSET, 0, FIT[data.fit]


def _requested(data: Request) -> Numbers:
    return PLAIN, UNSET, UNSET, reference(data.request_id), IMMEDIATE if data.priority == "immediate" else 0


def _resolved(data: Request) -> Numbers:
    return PLAIN, UNSET, UNSET, reference(data.request_id), 0


def _of_a_side(data: Payload) -> Numbers:
    return SIDE[data.by], *NOTHING


def _celebrated(data: Payload) -> Numbers:
    return SIDE.get(data.by, BOTH), *NOTHING


def _plain(_data: Payload) -> Numbers:
    return PLAIN, *NOTHING


class Reading(NamedTuple):
    kind: int
    decode: Callable[[msgspec.Raw], Any]
    numbers: Callable[[Any], Numbers | None]


def _reading(name: str, payload: type[Payload], numbers: Callable[[Any], Numbers | None]) -> tuple[str, Reading]:
    type_ = f"mentoring.{name}.v1"
    return type_, Reading(KIND_OF_TYPE[type_].value, msgspec.json.Decoder(payload).decode, numbers)


READINGS = dict(
    (
        _reading("relationship.started", Started, _started),
        _reading("relationship.expectations_agreed", Payload, _plain),
        _reading("relationship.paused", Paused, _paused),
        _reading("relationship.resumed", Resumed, _resumed),
        _reading("relationship.ended", Payload, _plain),
        _reading("relationship.erased", Payload, _plain),
        _reading("preparation.completed", Payload, _of_a_side),
        _reading("session.scheduled", Booked, _booked),
        _reading("session.rescheduled", Booked, _booked),
        _reading("session.cancelled", Cancelled, _cancelled),
        _reading("session.held", Held, _held),
        _reading("session.missed", Missed, _missed),
        _reading("message.sent", Payload, _of_a_side),
        _reading("checkin.answered", Rated, _checked_in),
        _reading("goal.set", Goal, _goal_set),
        _reading("goal.revised", Goal, _goal_set),
        _reading("goal.progressed", Goal, _goal_progressed),
        _reading("goal.achieved", Goal, _goal_ended),
        _reading("goal.missed", Goal, _goal_ended),
        _reading("goal.abandoned", Goal, _goal_ended),
        _reading("milestone.celebrated", Payload, _celebrated),
        _reading("feedback.given", Rated, _rated),
        _reading("fit.rated", Fit, _fit),
        _reading("pulse.answered", Rated, _pulse),
        _reading("reflection.recorded", Payload, _of_a_side),
        _reading("skill.assessed", Payload, _of_a_side),
        _reading("introduction.made", Payload, _of_a_side),
        _reading("resource.shared", Payload, _of_a_side),
        _reading("support.requested", Request, _requested),
        _reading("support.resolved", Request, _resolved),
    )
)
