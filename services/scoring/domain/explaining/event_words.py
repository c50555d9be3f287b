"""What an event says, in words that a programme coordinator uses."""

from collections.abc import Mapping
from string import Formatter

from schemas.events import OfRelationship

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
    return "".join(piece.format(**fields) for piece in WORDS[short_type(event.type)] if _is_known(piece, fields))


def _is_known(piece: str, fields: Mapping[str, object]) -> bool:
    return all(fields[name] is not None for _, name, _, _ in _FORMATTER.parse(piece) if name)
