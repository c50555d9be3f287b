"""A request of a tool on its way through translation, roster and gate; nothing of it is written anywhere."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.directory import Participant
from schemas.events import MentoringEvent
from services.ingest.domain.admission import admit
from services.ingest.domain.clock import Clock
from services.ingest.domain.tools.free_text import cut_text
from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.domain.tools.resolution import Resolved, resolve
from services.ingest.domain.tools.said import Pointer, Said
from services.ingest.domain.tools.speaker import Speaker
from services.ingest.domain.verdict import Ignored, Rejected
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


@dataclass(frozen=True)
class Heard:
    """One statement and what became of it: events and people, or why nothing; neither if no roster is known."""

    said: Said
    events: tuple[MentoringEvent, ...] = ()
    participants: tuple[Participant, ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Tried:
    """One payload: what it says, or whereto it points, or why it says nothing. `was_cut`: text that people wrote."""

    heard: tuple[Heard, ...] = ()
    pointer: Pointer | None = None
    refusal: Refusal | None = None
    was_cut: bool = False

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
        tool = self.account.tool
        cut = cut_text(payload, tool.free_text)
        if isinstance(cut, Rejected):
            return Tried(refusal=cut)
        parsed = tool.parse(cut.payload, media_type or JSON)
        if isinstance(parsed, Rejected):
            return Tried(refusal=parsed, was_cut=cut.was_cut)
        match tool.translate(parsed.value, self.account.settings):
            case Pointer() as pointer:
                return Tried(pointer=pointer, was_cut=cut.was_cut)
            case Ignored() | Rejected() as refusal:
                return Tried(refusal=refusal, was_cut=cut.was_cut)
            case statements:
                return Tried(tuple(self._heard(said, clock) for said in statements), was_cut=cut.was_cut)

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
