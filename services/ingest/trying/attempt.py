"""A request of a tool on its way through translation, roster and gate; nothing of it is written anywhere."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from schemas.directory import Participant
from schemas.events import MentoringEvent
from services.ingest.domain.activity import Activity, Pointer
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.cloudevents.content_modes import JSON
from services.ingest.domain.ids import Pseudonym, pseudonym_of
from services.ingest.domain.scope import ConnectionScope
from services.ingest.domain.tools.allow_list import cut_paths
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.tools.resolution import Resolved, resolve
from services.ingest.domain.verdict import Ignored, Rejected, explain
from services.ingest.sources.connections import ConnectionsError, load_connections
from services.ingest.sources.tool import Tool, ToolSettings, kept
from services.ingest.sources.verification import Received
from services.runtime.strict_yaml import UnreadableError, documents

Refusal = Ignored | Rejected


@dataclass(frozen=True)
class Account:
    """As whom the payload is taken."""

    tool: Tool
    settings: ToolSettings
    connection_scope: ConnectionScope
    pseudonym: Pseudonym


@dataclass(frozen=True)
class Heard:
    """One statement and what became of it: events and people, or why nothing; neither if no roster is known."""

    said: Activity
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
    projection: Projection | None
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

    def _heard(self, said: Activity, clock: Clock) -> Heard:
        if self.projection is None:
            return Heard(said)
        resolved = resolve(said, self.account.connection_scope, self.projection)
        self.projection.track(said, self.account.connection_scope)
        if not isinstance(resolved, Resolved):
            return Heard(said, refusal=resolved)
        return self._admitted(said, resolved, clock)

    def _admitted(self, said: Activity, resolved: Resolved, clock: Clock) -> Heard:
        assert self.projection is not None
        events: list[MentoringEvent] = []
        for raw in resolved.events:
            verdict = admit(raw, self.account.connection_scope.scope, clock)
            if isinstance(verdict, Rejected):
                return Heard(said, refusal=verdict)
            events.append(verdict.event)
            self.projection.apply(verdict.event)
        for participant in resolved.participants:
            self.projection.upsert(participant)
        return Heard(said, tuple(events), resolved.participants)


NAMELESS = "try"
# Ids that may be text are shown as digests, which are others in the installation.
PRETENDED_KEY = "no key of any installation"


class NoAccountError(Exception):
    """The message says what is missing or wrong."""


@dataclass(frozen=True)
class Asked:
    connections: Path | None = None
    connection: str | None = None
    settings: Path | None = None
    tenant: str = NAMELESS


def account_of(tool: Tool, asked: Asked) -> Account:
    """Raises NoAccountError."""
    if asked.connections is not None:
        return _connected(tool, asked.connections, asked.connection)
    connection_scope = ConnectionScope(asked.tenant, None, tool.name, NAMELESS)
    return Account(tool, _settings(tool, asked.settings), connection_scope, pseudonym_of(PRETENDED_KEY, asked.tenant))


class _Pretended(Mapping[str, str]):
    """Secrets are not needed to try a payload: every variable has one, each another."""

    def __getitem__(self, name: str) -> str:
        return f"pretended-{name}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __contains__(self, name: object) -> bool:
        return True


def _connected(tool: Tool, file: Path, name: str | None) -> Account:
    try:
        known = load_connections(file, _Pretended(), PRETENDED_KEY)
    except ConnectionsError as broken:
        raise NoAccountError(str(broken)) from broken
    of_tool = {key: one for key, one in known.items() if one.tool.name == tool.name}
    chosen = name or next(iter(of_tool), "") if len(of_tool) == 1 else name
    if not chosen or chosen not in of_tool:
        raise NoAccountError(
            f"name a connection of {tool.name} with --connection: {', '.join(of_tool) or 'there is none'}"
        )
    connection_scope = of_tool[chosen].connection_scope
    return Account(
        tool, of_tool[chosen].settings, connection_scope, pseudonym_of(PRETENDED_KEY, connection_scope.tenant)
    )


def _settings(tool: Tool, file: Path | None) -> ToolSettings:
    try:
        read = documents(file) if file else []
        return tool.settings.model_validate(read[0] if read else {})
    except UnreadableError as broken:
        raise NoAccountError(str(broken)) from broken
    except ValidationError as invalid:
        faults = "; ".join(f"{fault.path}: {fault.reason}" for fault in explain(invalid))
        raise NoAccountError(f"the settings of {tool.name} (--settings): {faults}") from invalid
