"""What happened, in words that a programme coordinator uses: what an event says, and why a row exists."""

from collections.abc import Mapping, Sequence
from string import Formatter

from schemas.events import OfRelationship
from services.scoring.domain.bounds import DAY
from services.scoring.domain.row import HistoryRow
from services.scoring.domain.timeline import BOOKING_STARTS, GOAL_STALLED, MIDNIGHT, PAUSE_BOUNDARY, PROFILE_CHANGED

# By type without prefix and version: a sentence of pieces. A piece is left out where a field that it names is unknown.
WORDS: Mapping[str, tuple[str, ...]] = {
    "relationship.started": ("relationship started", ", meeting every {cadence_days:g} days"),
    "relationship.expectations_agreed": ("expectations agreed",),
    "relationship.paused": ("paused ({reason})", " from {from_:%d %b %Y}", " until {until:%d %b %Y}"),
    "relationship.resumed": ("resumed",),
    "relationship.ended": ("relationship ended ({reason_code})",),
    "relationship.erased": ("relationship erased",),
    "preparation.completed": ("{by} prepared ({kind})",),
    "session.scheduled": ("session booked for {starts_at:%d %b %Y %H:%M}",),
    "session.rescheduled": ("session moved to {starts_at:%d %b %Y %H:%M}",),
    "session.cancelled": ("session cancelled", " {notice_hours:g} h ahead"),
    "session.held": ("session held", ", {minutes:g} min"),
    "session.missed": ("session missed, absent: {absent}",),
    "session.joined": ("{role} joined a session",),
    "session.left": ("{role} left a session",),
    "message.sent": ("message from the {by}",),
    "checkin.answered": ("{by} checked in", ", {rating} of 5"),
    "goal.set": ("goal {goal_id} set", ", due {due:%d %b %Y}"),
    "goal.revised": ("goal {goal_id} revised", ", due {due:%d %b %Y}"),
    "goal.progressed": ("goal {goal_id} at {percent:g} %",),
    "goal.achieved": ("goal {goal_id} achieved",),
    "goal.missed": ("goal {goal_id} missed",),
    "goal.abandoned": ("goal {goal_id} abandoned",),
    "milestone.celebrated": ("milestone celebrated", ", goal {goal_id}"),
    "feedback.given": ("{by} rated the {about} {rating:g} of {scale_max:g}",),
    "fit.rated": ("{by} calls the fit {fit}",),
    "pulse.answered": ("{by} rated well-being {rating} of 5",),
    "reflection.recorded": ("reflection of the {by}",),
    "skill.assessed": ("{by}'s skill {skill} went from {before} to {after}",),
    "introduction.made": ("introduction made by the {by}",),
    "resource.shared": ("resource shared by the {by}",),
    "support.requested": ("support requested ({topic}, {priority})",),
    "support.resolved": ("support request {request_id} resolved",),
    "event.retracted": ("an earlier report retracted",),
}
_FORMATTER = Formatter()


def short_type(type_: str) -> str:
    """`session.held` of `mentoring.session.held.v1`: also the cause of the row that the event brings about."""
    return type_.removeprefix("mentoring.").rpartition(".v")[0]


def words_of(event: OfRelationship) -> str:
    fields = dict(event.data)
    return "".join(
        piece.format(**fields)
        for piece in WORDS[short_type(event.type)]
        if all(fields[name] is not None for _, name, _, _ in _FORMATTER.parse(piece) if name)
    )


OF_TIME = {
    BOOKING_STARTS: "a booked session was to begin",
    GOAL_STALLED: "the open goals count as stalled",
    PAUSE_BOUNDARY: "a pause begins or ends",
    PROFILE_CHANGED: "the programme's profile changes",
}


def cause_words(at: int, row: HistoryRow, told: Sequence[str]) -> tuple[str, ...]:
    """Of a row that is more than a midnight; `told`: what events say happened at this instant."""
    words = list(told)
    for cause in row.causes:
        if cause.startswith("crossing."):
            _, measure, level = cause.split(".", 2)
            words.append(f"{passing(at, row)}: {'health falls' if measure == 'health' else 'risk rises'} to {level}")
        elif cause != MIDNIGHT and cause not in WORDS:
            words.append(OF_TIME.get(cause, cause.replace(".", " ").replace("_", " ")))
    return tuple(words)


def passing(at: int, row: HistoryRow) -> str:
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
