"""By whose clock is decided, and where notices go: who is told, and from when on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.domain.digests import alerts_of
from services.notify.domain.guards import Clock
from services.notify.domain.ids import Destination, Recipient
from services.notify.domain.routing import About, Addressee, Addressing, Routed, told_from


@dataclass(frozen=True)
class DecisionContext:
    """Whose clock decides, the wall clock, and where notices go. On the log's clock nobody sleeps: nothing is held for
    people."""

    clock: Clock
    now: Callable[[], Instant]
    addressing: Addressing

    def routed(self, about: About) -> Routed:
        routed = self.addressing.routed(about)
        if self.clock == "wall":
            return routed
        return replace(routed, to=tuple(replace(one, receiving=None) for one in routed.to))

    def opens(self, delivery: Delivery, now: Instant) -> Instant:
        """From when on it may be sent: what wakes people is P1 alone."""
        if any(alert.urgency == "P1" for alert in alerts_of(delivery)):
            return now
        about = About(delivery.tenant, delivery.program, delivery.alert.rule, delivery.alert.urgency)
        found = self.again([Recipient(Destination(delivery.channel, delivery.recipient))], about)
        return told_from(found[0].receiving, now) if found else now

    def again(self, recipients: Sequence[Recipient], about: About) -> tuple[Addressee, ...]:
        """Those that were told before, as they are now; a destination that is no more is left out."""
        every = [self.addressing.again(one.destination, about) for one in recipients]
        # Several may have become one, such as owners whom nobody is any more.
        found = {one.destination: one for one in every if one is not None}
        asleep = self.clock == "wall"
        return tuple(one if asleep else replace(one, receiving=None) for one in found.values())
