"""The interface of channels, the send limits of each kind, and the channel of each kind of destination."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Protocol, assert_never

from schemas.alerts import ChannelName, Delivery
from schemas.primitives import Instant
from services.notify.channels.http_channels import ChatChannel, PagerDutyChannel, WebhookChannel
from services.notify.channels.smtp import MailDirectory, SmtpChannel
from services.notify.channels.verdicts import slack_verdict, teams_verdict
from services.notify.domain.deliveries import DeliveryAccepted, Verdict
from services.notify.domain.destinations import (
    DestinationConfig,
    HttpTarget,
    PagerDutyOptions,
    SmtpOptions,
    WebhookOptions,
)
from services.notify.domain.outbox import SendLimits
from services.runtime import log


class Channel(Protocol):
    """A channel to one destination, used by its sender. It lives on one event loop."""

    async def send(self, delivery: Delivery) -> Verdict:
        """Send a rendered delivery; a repeat carries the same key and the same body. Raises only for faults of ours."""

    async def close(self) -> None: ...


# Channels without keys have one message in flight: two of unknown outcome after a crash could both arrive twice.
SEND_LIMITS: Mapping[ChannelName, SendLimits] = {
    "log": SendLimits(in_flight=50, most=10_000, span=timedelta(seconds=1)),
    # A receiver that takes 0.1 s still gets 80 messages a second, see senders.MAX_CONCURRENT.
    "webhook": SendLimits(in_flight=50, most=10_000, span=timedelta(seconds=1)),
    "smtp": SendLimits(in_flight=1, most=50, span=timedelta(seconds=1)),
    # Slack: "no more than one message per second"; short bursts are allowed.
    "slack": SendLimits(in_flight=1, most=1, span=timedelta(seconds=1)),
    # Teams blocks a webhook for a while after 25 posts in 300 s.
    "teams": SendLimits(in_flight=1, most=25, span=timedelta(seconds=300)),
    # PagerDuty accepts about 120 events a minute per key.
    "pagerduty": SendLimits(in_flight=50, most=120, span=timedelta(seconds=60)),
}


class LogChannel:
    def __init__(self) -> None:
        self._log = log.get(__name__)

    async def send(self, delivery: Delivery) -> Verdict:
        alert = delivery.alert
        self._log.info(
            "alert",
            transition=alert.transition,
            rule=alert.rule,
            urgency=alert.urgency,
            tenant=delivery.tenant,
            program=delivery.program,
            relationship=delivery.relationship,
            summary=alert.summary,
            at=alert.at.isoformat(),
            delivery_id=delivery.delivery_id,
        )
        return DeliveryAccepted("logged")

    async def close(self) -> None:
        """Nothing is open."""


def open_channel(config: DestinationConfig, now: Callable[[], Instant], directory: MailDirectory) -> Channel:
    """Open the channel of a destination. Call it on the event loop that the channel lives on."""
    match config.options:
        case WebhookOptions() as options:
            return WebhookChannel(options, now)
        case SmtpOptions() as options:
            return SmtpChannel(config.name, options, directory)
        case PagerDutyOptions() as options:
            return PagerDutyChannel(options, now)
        case HttpTarget() as target:
            return ChatChannel(target, teams_verdict if config.channel == "teams" else slack_verdict, now)
        case None:
            return LogChannel()
        case _:
            assert_never(config.options)
