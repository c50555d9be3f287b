"""Where messages can go, as it is configured: the destinations, and which alerts they get."""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.alerts import ChannelName
from services.notify.channels.http_channels import HttpTarget, PagerDutyOptions, WebhookOptions
from services.notify.channels.smtp import SmtpOptions
from services.notify.domain.ids import Destination
from services.notify.domain.routing import Receiver, Route, Routing
from services.notify.domain.working_hours import ReceivingHours

Options = WebhookOptions | SmtpOptions | HttpTarget | PagerDutyOptions | None


@dataclass(frozen=True)
class DestinationConfig:
    """`options` is what its channel needs: an HttpTarget for Slack and Teams, None for the log. It is given alerts of
    its tenant and programmes only (None: of all), and none unless `gets_alerts` or a route names it; a fallback or a
    test may reach it. `hours`: when people there may be written to; None for machines. `zone`: theirs, where it is
    another than that of the person or the programme."""

    name: str
    channel: ChannelName
    options: Options
    gets_alerts: bool = True
    tenant: str | None = None
    programs: frozenset[str] | None = None
    fallback: str | None = None
    hours: ReceivingHours | None = None
    zone: str | None = None
    most_per_hour: int = Receiver.most_per_hour

    @property
    def is_owner(self) -> bool:
        """It goes to whoever looks after the programme, at the address that the directory has."""
        return isinstance(self.options, SmtpOptions) and not self.options.to

    def takes(self, tenant: str, program: str) -> bool:
        return self.tenant in {None, tenant} and (self.programs is None or program in self.programs)

    def receiver(self) -> Receiver:
        return Receiver(
            Destination(self.channel, self.name),
            self.gets_alerts,
            self.tenant,
            self.programs,
            self.hours,
            self.zone,
            self.is_owner,
            self.most_per_hour,
        )


@dataclass(frozen=True)
class DestinationsConfig:
    """All destinations, and which alerts they get."""

    destinations: tuple[DestinationConfig, ...]
    routes: tuple[Route, ...] = ()
    otherwise: str | None = None
    admins: tuple[str, ...] = ()

    def routing(self) -> Routing:
        receivers = {one.name: one.receiver() for one in self.destinations}
        return Routing(receivers, self.routes, self.otherwise, self.admins)


class DestinationsError(Exception):
    """The message names every fault of the file and its place, and no secret."""


def listed(found: DestinationsConfig) -> Iterator[str]:
    """One line each, without addresses and secrets; then the routes in their order."""
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
