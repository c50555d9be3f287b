"""What a tool takes back is retracted, event by event: only what the same connection said."""

from typing import NamedTuple

from schemas.primitives import to_rfc3339
from services.ingest.domain.tools.derived import event_id, statement_id
from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.domain.tools.raw_event import Content, RawEvent, Subject, origin, raw_event
from services.ingest.domain.tools.said import Voided
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.domain.tools.spoken import Spoken
from services.ingest.domain.tools.told_events import ERASED
from services.ingest.domain.verdict import Ignored, Rejected, rejected

RETRACTED = "mentoring.event.retracted.v1"


class Statement(NamedTuple):
    """What is taken back, as memory and warehouse are asked for it."""

    tenant: str
    source: str
    id: str


def target_of(said: Voided, speaker: Speaker) -> Statement:
    return Statement(speaker.tenant, speaker.source, statement_id(said.target))


def voided(
    said: Voided, speaker: Speaker, knowledge: Knowledge, stored: tuple[Spoken, ...]
) -> tuple[RawEvent, ...] | Ignored | Rejected:
    """Found among what was said recently, else in what is `stored` of it."""
    found = knowledge.memory.find(*target_of(said, speaker)) or stored
    stands = [one for one in found if one.type != RETRACTED and speaker.program in {None, one.program}]
    if not stands:
        return rejected("unresolved", "target", "what this takes back is not known")
    kept = [one for one in stands if not knowledge.roster.is_erased(speaker.tenant, one.relationship)]
    return tuple(_retraction(said, speaker, one) for one in kept) or ERASED


def _retraction(said: Voided, speaker: Speaker, spoken: Spoken) -> RawEvent:
    data = {
        "by": "system",
        "evidence": "observed",
        "origin": origin(speaker, said.native),
        "source": speaker.source,
        "id": spoken.id,
        "type": spoken.type,
        "time": to_rfc3339(spoken.time),
        "slot": said.slot or spoken.slot,
    }
    content = Content(RETRACTED, event_id(said.key, spoken.relationship, spoken.id), said.time, data)
    return raw_event(Subject(speaker.source, speaker.tenant, spoken.program, spoken.relationship), content)
