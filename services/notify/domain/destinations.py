"""The configuration of destinations and routes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from schemas.alerts import ChannelName, Urgency
from schemas.primitives import Id
from services.notify.domain.ids import Destination
from services.notify.domain.working_hours import ReceivingHours


@dataclass(frozen=True)
class HttpTarget:
    """The target of HTTP posts. The whole address may be a secret: no failure message holds it."""

    url: str
    allow_private: bool
    timeout_seconds: float


@dataclass(frozen=True)
class WebhookOptions:
    target: HttpTarget
    secret: SecretStr


@dataclass(frozen=True)
class PagerDutyOptions:
    target: HttpTarget
    routing_key: SecretStr


@dataclass(frozen=True)
class SmtpOptions:
    """`to` and `sender` are plain addresses; neither is on a topic. `to` empty: each message goes to its person, at the
    address that the directory has then."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    username: str | None
    password: SecretStr | None
    sender: str
    to: tuple[str, ...]
    timeout_seconds: float
    cafile: Path | None = None


Options = WebhookOptions | SmtpOptions | HttpTarget | PagerDutyOptions | None


@dataclass(frozen=True)
class DestinationConfig:
    """`options` is what its channel needs: an HttpTarget for Slack and Teams, None for the log. It gets alerts of its
    tenant and programmes only (None: of all), and none unless `gets_alerts` or a route names it; a fallback or a test
    may reach it. `hours`: when people there may be written to; None for machines, which get everything at once. `zone`:
    overrides that of the person or the programme. `most_per_hour`: rate limit of messages to people; beyond that they
    are folded."""

    name: str
    channel: ChannelName
    options: Options
    gets_alerts: bool = True
    tenant: Id | None = None
    programs: frozenset[Id] | None = None
    fallback: str | None = None
    hours: ReceivingHours | None = None
    zone: str | None = None
    most_per_hour: int = 12

    @property
    def destination(self) -> Destination:
        return Destination(self.channel, self.name)

    @property
    def is_owner(self) -> bool:
        """Whether it goes to the owner of the programme, at the address that the directory has."""
        return isinstance(self.options, SmtpOptions) and not self.options.to

    def accepts(self, tenant: Id, program: Id) -> bool:
        return self.tenant in {None, tenant} and (self.programs is None or program in self.programs)


@dataclass(frozen=True)
class Route:
    """Matches when all of its conditions match; None: anything. `goes_on`: later routes are evaluated, too."""

    to: tuple[str, ...]
    rules: frozenset[str] | None = None
    classes: frozenset[Urgency] | None = None
    programs: frozenset[Id] | None = None
    regions: frozenset[str] | None = None
    goes_on: bool = False

    @property
    def is_catch_all(self) -> bool:
        return {self.rules, self.classes, self.programs, self.regions} == {None}

    def matches(self, rule: str, urgency: Urgency, program: Id, region: str) -> bool:
        conditions = ((self.rules, rule), (self.classes, urgency), (self.programs, program), (self.regions, region))
        return all(wanted is None or given in wanted for wanted, given in conditions)

    def words(self) -> str:
        parts = {"rule": self.rules, "class": self.classes, "programme": self.programs, "region": self.regions}
        found = [f"{name} {', '.join(sorted(of))}" for name, of in parts.items() if of is not None]
        return "; ".join(found) or "catch-all"


@dataclass(frozen=True)
class DestinationsConfig:
    """All destinations, and which alerts they get. Without `routes` everything goes to every destination that gets
    alerts. `otherwise`: gets what is for the owner of a programme without a reachable one; `admins`: are notified of
    destinations that are down."""

    destinations: tuple[DestinationConfig, ...] = ()
    routes: tuple[Route, ...] = ()
    otherwise: str | None = None
    admins: tuple[str, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, DestinationConfig]:
        return {one.name: one for one in self.destinations}


class DestinationsError(Exception):
    """The message names every fault of the file and its path, and no secret."""


def routing_faults(config: DestinationsConfig) -> list[str]:
    """Return why these routes cannot be used; empty where they can."""
    routes, names = config.routes, config.by_name
    found = [
        f"routes.{at}.to: there is no destination {name[:80]!r}"
        for at, route in enumerate(routes)
        for name in route.to
        if name not in names
    ]
    if routes and not (routes[-1].is_catch_all and not routes[-1].goes_on):
        found.append("routes: the last one must be a catch-all: without conditions and `continue`")
    found += [
        f"routes.{at}: takes everything, so that no route after it is reached: say `continue` or a condition"
        for at, route in enumerate(routes[:-1])
        if route.is_catch_all and not route.goes_on
    ]
    others = [("otherwise", config.otherwise), *((f"admins.{at}", one) for at, one in enumerate(config.admins))]
    found += [f"{path}: there is no destination {one[:80]!r}" for path, one in others if one and one not in names]
    otherwise = names.get(config.otherwise or "")
    if otherwise is not None and otherwise.is_owner:
        found.append("otherwise: must be a destination that does not go to an owner")
    if config.otherwise is None:
        found += [
            f"{name}: goes to an owner: say with `otherwise` who gets it where none can be reached"
            for name, one in names.items()
            if one.is_owner
        ]
    return found


def describe_config(found: DestinationsConfig) -> Iterator[str]:
    """Yield one line per destination, without addresses and secrets; then the routes in order."""
    for one in sorted(found.destinations, key=lambda config: config.name):
        alerts = "gets alerts" if one.gets_alerts else "gets no alerts by itself"
        programs = ", ".join(sorted(one.programs)) if one.programs is not None else "all programmes"
        fallback = f", falls back to {one.fallback}" if one.fallback else ""
        owner = ", to whoever looks after the programme" if one.is_owner else ""
        hours = ""
        if one.hours is not None:
            quiet = f"{one.hours.quiet_from:%H:%M}-{one.hours.quiet_until:%H:%M}"
            digest, zone = f"{one.hours.digest_at:%H:%M}", one.zone or "of the person or the programme"
            hours = f", quiet {quiet} and on days off, digest at {digest}, zone {zone}"
        yield f"{one.name}: {one.channel}, {alerts}, tenant {one.tenant or 'any'}, {programs}{fallback}{owner}{hours}"
    for number, route in enumerate(found.routes, 1):
        onward = "; then the next routes" if route.goes_on else ""
        yield f"route {number}: {route.words()} -> {', '.join(route.to)}{onward}"
    if found.otherwise is not None:
        yield f"otherwise, where nobody who looks after a programme can be reached: {found.otherwise}"
    if found.admins:
        yield f"of destinations that are down hear: {', '.join(found.admins)}"
