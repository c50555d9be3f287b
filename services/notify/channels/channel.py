"""What every channel is, and how much it takes."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from schemas.alerts import ChannelName, Delivery
from services.notify.domain.outbox import SendingPace
from services.notify.domain.verdict import Verdict


class Channel(Protocol):
    """One destination as its sender holds it. It lives on one event loop."""

    async def send(self, delivery: Delivery) -> Verdict:
        """Of a delivery that was rendered; a repeat carries the same key and the same body. Raises for what is a fault
        of ours only."""

    async def close(self) -> None: ...


# Channels without keys have one message in hand: of two that are unknown after a crash two may come twice.
PACES: Mapping[ChannelName, SendingPace] = {
    "log": SendingPace(in_hands=50, most=10_000, span=timedelta(seconds=1)),
    # A receiver that takes 0.1 s still gets 80 messages a second, see senders.AT_A_TIME.
    "webhook": SendingPace(in_hands=50, most=10_000, span=timedelta(seconds=1)),
    "smtp": SendingPace(in_hands=1, most=50, span=timedelta(seconds=1)),
    # Slack: "no more than one message per second", short bursts are let through.
    "slack": SendingPace(in_hands=1, most=1, span=timedelta(seconds=1)),
    # Teams closes a webhook for a while after 25 posts in 300 s.
    "teams": SendingPace(in_hands=1, most=25, span=timedelta(seconds=300)),
    # PagerDuty takes about 120 events a minute of one key.
    "pagerduty": SendingPace(in_hands=50, most=120, span=timedelta(seconds=60)),
}
