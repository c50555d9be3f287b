"""A channel for each kind of destination."""

from collections.abc import Callable
from typing import assert_never

from schemas.primitives import Instant
from services.notify.channels.answers import of_slack, of_teams
from services.notify.channels.channel import Channel
from services.notify.channels.chat import ChatChannel
from services.notify.channels.destinations import DestinationConfig
from services.notify.channels.log import LogChannel
from services.notify.channels.pagerduty import PagerDutyChannel, PagerDutyOptions
from services.notify.channels.posting import HttpTarget
from services.notify.channels.smtp import MailDirectory, SmtpChannel, SmtpOptions
from services.notify.channels.webhook import WebhookChannel, WebhookOptions


def opened(config: DestinationConfig, now: Callable[[], Instant], directory: MailDirectory) -> Channel:
    """To be called on the loop that it is to live on."""
    match config.options:
        case WebhookOptions() as options:
            return WebhookChannel(options, now)
        case SmtpOptions() as options:
            return SmtpChannel(config.name, options, directory)
        case PagerDutyOptions() as options:
            return PagerDutyChannel(options, now)
        case HttpTarget() as target:
            return ChatChannel(target, of_teams if config.channel == "teams" else of_slack, now)
        case None:
            return LogChannel()
        case _:
            assert_never(config.options)
