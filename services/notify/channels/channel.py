"""What every channel is, how much it takes, and the one for each kind of destination."""

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
    """One destination as its sender holds it. It lives on one event loop."""

    async def send(self, delivery: Delivery) -> Verdict:
        """Of a delivery that was rendered; a repeat carries the same key and the same body. Raises for what is a fault
        of ours only."""

    async def close(self) -> None: ...


# Channels without keys have one message in hand: of two that are unknown after a crash two may come twice.
SEND_LIMITS: Mapping[ChannelName, SendLimits] = {
    "log": SendLimits(in_flight=50, most=10_000, span=timedelta(seconds=1)),
    # A receiver that takes 0.1 s still gets 80 messages a second, see senders.AT_A_TIME.
    "webhook": SendLimits(in_flight=50, most=10_000, span=timedelta(seconds=1)),
    "smtp": SendLimits(in_flight=1, most=50, span=timedelta(seconds=1)),
    # Slack: "no more than one message per second", short bursts are let through.
    "slack": SendLimits(in_flight=1, most=1, span=timedelta(seconds=1)),
    # Teams closes a webhook for a while after 25 posts in 300 s.
    "teams": SendLimits(in_flight=1, most=25, span=timedelta(seconds=300)),
    # PagerDuty takes about 120 events a minute of one key.
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
    """To be called on the loop that it is to live on."""
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
