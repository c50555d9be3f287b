"""The data of the event that a Caliper event becomes."""

from collections.abc import Mapping
from datetime import timedelta

from schemas.primitives import to_rfc3339
from services.ingest.domain.tools.derived import digest
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.sources.caliper.people import Told
from services.ingest.sources.caliper.score import chosen
from services.ingest.sources.caliper.settings import CaliperSettings, Meaning
from services.ingest.sources.reading import within
from services.ingest.sources.scale import MEASURED, on_our_scale
from services.ingest.sources.vocabulary import as_id, members

# Of `data.minutes`.
LONGEST_SESSION = timedelta(days=1)


def message_key(message: str) -> str:
    """A message is the statement that it was written: who answers it knows its id, and not that of the event."""
    return f"message:{message}"


def data_of(told: Told, meaning: Meaning, settings: CaliperSettings) -> Mapping[str, object] | Rejected:
    """What is fixed in the settings stays as it is."""
    measured = _measured(told, meaning.type, settings)
    if isinstance(measured, Rejected):
        return measured
    wanted = members(meaning.type)
    subject = told.thing.id or told.event.id
    ids = {"session_id": digest("entity", subject), "goal_id": as_id(subject), "request_id": as_id(told.event.id)}
    if told.thing.replyTo.id:
        ids["reply_to"] = message_key(told.thing.replyTo.id)
    return {**{name: value for name, value in ids.items() if name in wanted}, **measured, **meaning.data}


def _measured(told: Told, name: str, settings: CaliperSettings) -> Mapping[str, object] | Rejected:
    if name == "mentoring.session.held.v1":
        return _session(told)
    if name in MEASURED:
        return _score(told, name, settings)
    return {}


def _session(told: Told) -> Mapping[str, object] | Rejected:
    """From the entity, where it says when it began and ended; the event's own time is when somebody said so."""
    started, ended = told.thing.startedAtTime, told.thing.endedAtTime
    lasted = told.thing.duration or (ended - started if started and ended else None)
    data = {"started_at": to_rfc3339(started or told.event.eventTime)}
    if not lasted:
        return data
    if not timedelta(0) < lasted <= LONGEST_SESSION:
        return rejected("invalid", "object.duration", "a session lasts longer than nothing and at most 24 hours")
    return {**data, "minutes": lasted / timedelta(minutes=1)}


def _score(told: Told, name: str, settings: CaliperSettings) -> Mapping[str, object] | Rejected:
    found = chosen(told.scored, settings.scale)
    if isinstance(found, Rejected):
        return within("generated", found)
    if found:
        return on_our_scale(name, found.number, found.scale)
    is_needed = name != "mentoring.checkin.answered.v1"
    return rejected("invalid", "generated", f"a score or a rating is required in {name}") if is_needed else {}
