"""For whom a sender may speak, whether an event stays within that, and how much they may hand in: a token bucket."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf

from schemas.events import MentoringEvent, OfPartition
from schemas.tokens import Token
from services.ingest.domain.verdict import Rejected, rejected

RESERVED = "urn:rapport:"
"""Sources that begin like this are ours: those of connections, and of what ingest itself concludes."""


ProgramOf = Callable[[str, str], str | None]
"""Of a tenant's relationship: the programme that it belongs to, as far as it is known."""


def unknown(_tenant: str, _relationship: str) -> str | None:
    """Where nobody knows relationships."""
    return None


@dataclass(frozen=True)
class Scope:
    """Empty `programs` means every programme of the tenant. `internal` is for ourselves only: it may speak for
    reserved sources, and nobody else may, whatever a token or a setting names."""

    tenant: str
    sources: frozenset[str]
    programs: frozenset[str] = frozenset()
    admin: bool = False
    internal: bool = False


def scope_of(token: Token) -> Scope:
    return Scope(token.tenant, frozenset(token.sources), frozenset(token.programs), token.admin)


def out_of_scope(event: MentoringEvent, scope: Scope, home: ProgramOf = unknown) -> Rejected | None:
    if event.tenant != scope.tenant:
        return _forbidden("tenant", f"this sender speaks for {scope.tenant!r} only")
    if event.source not in scope.sources or _is_ours(event.source, scope):
        return _forbidden("source", "this sender may not speak for this source")
    if event.type == "mentoring.event.retracted.v1" and (
        event.data.source not in scope.sources or _is_ours(event.data.source, scope)
    ):
        return _forbidden("data.source", "a retraction reaches the sender's own sources only")
    if not scope.programs or isinstance(event, OfPartition):
        return None
    if event.program not in scope.programs:
        return _forbidden("program", "this sender may not speak for this programme")
    # Whatever the event calls its programme: a relationship belongs to the one that started it.
    if (home(event.tenant, event.subject) or event.program) not in scope.programs:
        if event.type == "mentoring.relationship.started.v1":
            return started_elsewhere()
        return _forbidden("subject", "this sender may not speak for the programme of this relationship")
    return None


def started_elsewhere() -> Rejected:
    """The programme is not named: this sender may not know it."""
    return rejected(
        "conflict",
        "subject",
        "this relationship was started in another programme: use another id, or ask an administrator of the tenant to "
        "retract that start (mentoring.event.retracted.v1) or to start it anew in this programme",
    )


def _is_ours(source: str, scope: Scope) -> bool:
    return source.startswith(RESERVED) and not scope.internal


def _forbidden(path: str, words: str) -> Rejected:
    return rejected("forbidden", path, words)


@dataclass(frozen=True)
class ConnectionScope:
    """One connection: a tool's account of one tenant. `program` None means every programme of the tenant."""

    tenant: str
    program: str | None
    tool: str
    connection: str

    @property
    def source(self) -> str:
        """The CloudEvents source of whatever it says; two connections never share one."""
        return f"{RESERVED}{self.tenant}:{self.tool}:{self.connection}"

    @property
    def scope(self) -> Scope:
        programs = frozenset({self.program} if self.program else ())
        return Scope(self.tenant, frozenset({self.source}), programs, internal=True)


# How long a sender may have saved up: enough for a batch after some quiet.
BURST_SECONDS = 10
# An event has some 300 bytes; what is larger counts as several, so that nobody pays less by sending fewer large ones.
BYTES_PER_ITEM = 1024
# Senders that are remembered, the last used of them: whoever was quiet for BURST_SECONDS has a full bucket anyway.
MOST_BUCKETS = 10_000


@dataclass
class Bucket:
    """`left` may fall below zero: whoever has anything left may hand in a batch of any size and waits longer after it,
    so that no batch is too large for ever. Times are in seconds of any clock that only goes forward."""

    per_second: int
    left: float
    at: float

    @classmethod
    def full(cls, per_second: int, now: float) -> "Bucket":
        return cls(per_second, float(per_second * BURST_SECONDS), now)

    def take(self, amount: int, now: float) -> int:
        """0 if it was taken; else nothing was, and these whole seconds have to pass."""
        most = float(self.per_second * BURST_SECONDS)
        self.left = min(most, self.left + (now - self.at) * self.per_second)
        self.at = now
        if self.left <= 0:
            return ceil((1 - self.left) / self.per_second)
        self.left -= amount
        return 0


class RateLimiter:
    """One bucket for each who sends; `per_second` holds for each of them alike."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, sender: str, amount: int, now: float) -> int:
        """As `Bucket.take`. `sender` has proven who it is: strangers get no bucket."""
        return self._bucket(sender, now).take(amount, now)

    def charge(self, sender: str, amount: int, now: float, most_owed: float = inf) -> None:
        """For what was let in before it was known how much it is."""
        bucket = self._bucket(sender, now)
        bucket.left = max(bucket.left - amount, -most_owed)

    def _bucket(self, sender: str, now: float) -> Bucket:
        bucket = self._buckets.setdefault(sender, Bucket.full(self._per_second, now))
        self._buckets.move_to_end(sender)
        while len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return bucket


def items_of(size: int) -> int:
    """What so many bytes count as, at the least."""
    return max(1, ceil(size / BYTES_PER_ITEM))
