"""A request of a tool on its way through translation, roster and gate; nothing of it is written anywhere."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.directory import Participant
from schemas.events import MentoringEvent
from services.ingest.domain.admission import admit
from services.ingest.domain.clock import Clock
from services.ingest.domain.pseudonym import Pseudonym
from services.ingest.domain.tools.allow_list import cut_paths
from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.domain.tools.resolution import Resolved, resolve
from services.ingest.domain.tools.said import Pointer, Said
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.kept import kept
from services.ingest.sources.proof import Received
from services.ingest.sources.taken import JSON
from services.ingest.sources.tool import Tool, ToolSettings

Refusal = Ignored | Rejected


@dataclass(frozen=True)
class Account:
    """As whom the payload is taken."""

    tool: Tool
    settings: ToolSettings
    speaker: Speaker
    pseudonym: Pseudonym


@dataclass(frozen=True)
class Heard:
    """One statement and what became of it: events and people, or why nothing; neither if no roster is known."""

    said: Said
    events: tuple[MentoringEvent, ...] = ()
    participants: tuple[Participant, ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Tried:
    """One payload: what it says, or whereto it points, or why it says nothing. `cut` are the fields of which not
    all is kept."""

    heard: tuple[Heard, ...] = ()
    pointer: Pointer | None = None
    refusal: Refusal | None = None
    cut: tuple[str, ...] = ()

    @property
    def is_rejected(self) -> bool:
        """One payload is one unit: with any part of it, all of it goes to quarantine."""
        return isinstance(self.refusal, Rejected) or any(isinstance(one.refusal, Rejected) for one in self.heard)


@dataclass(frozen=True)
class Attempt:
    """`knowledge` learns from what it hears, so that payloads can be tried in a row; None: there is no roster."""

    account: Account
    knowledge: Knowledge | None
    headers: Mapping[str, str] = field(default_factory=dict)

    def of(self, body: bytes, now: datetime) -> Iterator[Tried]:
        """Every payload of the request."""
        taken = self.account.tool.take(Received(self.headers, body), self.account.settings, now)
        if isinstance(taken, Rejected):
            yield Tried(refusal=taken)
            return
        for payload in taken.payloads:
            yield self._tried(payload, taken.media_type, Clock(now))

    def _tried(self, payload: bytes, media_type: str, clock: Clock) -> Tried:
        tool, settings = self.account.tool, self.account.settings
        known = kept(payload, media_type or JSON, tool, settings, self.account.pseudonym)
        if isinstance(known, Rejected):
            return Tried(refusal=known)
        cut = tuple(cut_paths(known.before, known.value))
        match tool.translate(known.value, settings):
            case Pointer() as pointer:
                return Tried(pointer=pointer, cut=cut)
            case Ignored() | Rejected() as refusal:
                return Tried(refusal=refusal, cut=cut)
            case statements:
                return Tried(tuple(self._heard(said, clock) for said in statements), cut=cut)

    def _heard(self, said: Said, clock: Clock) -> Heard:
        if self.knowledge is None:
            return Heard(said)
        resolved = resolve(said, self.account.speaker, self.knowledge)
        self.knowledge.attend(said, self.account.speaker)
        if not isinstance(resolved, Resolved):
            return Heard(said, refusal=resolved)
        return self._admitted(said, resolved, clock)

    def _admitted(self, said: Said, resolved: Resolved, clock: Clock) -> Heard:
        assert self.knowledge is not None
        events: list[MentoringEvent] = []
        for raw in resolved.events:
            verdict = admit(raw, self.account.speaker.scope, clock)
            if isinstance(verdict, Rejected):
                return Heard(said, refusal=verdict)
            events.append(verdict.event)
            self.knowledge.hear(verdict.event)
        for participant in resolved.participants:
            self.knowledge.learn(participant)
        return Heard(said, tuple(events), resolved.participants)
