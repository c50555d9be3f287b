"""The destinations as environment and file name them now, each with what waits for it and the task that sends it. A
file that is at fault changes nothing: it is told, and the former one counts."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import assert_never

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.channels.channel import SEND_LIMITS, opened
from services.notify.channels.destinations_file import load_destinations
from services.notify.channels.smtp import MailDirectory
from services.notify.domain.deliveries import (
    AttemptResult,
    DeliveryAccepted,
    DestinationDown,
    MessageRejected,
    OutcomeUnknown,
    RetryLater,
)
from services.notify.domain.destinations import DestinationConfig, DestinationsConfig, DestinationsError, WebhookOptions
from services.notify.domain.ids import Destination
from services.notify.domain.outbox import Outbox, Parked
from services.notify.flow.report import Metrics
from services.notify.flow.senders import DestinationSender, SenderPool
from services.notify.settings import NotifySettings
from services.runtime import log

LOOK_SECONDS = 2.0


def configured(settings: NotifySettings, environ: Mapping[str, str] = os.environ) -> DestinationsConfig:
    """Raises DestinationsError."""
    own = tuple(settings.destinations())
    if settings.notify_destinations is None:
        return DestinationsConfig(own)
    found = load_destinations(settings.notify_destinations, environ, own)
    taken = {one.name for one in own} & {one.name for one in found.destinations[len(own) :]}
    if taken:
        raise DestinationsError(f"{settings.notify_destinations}: {', '.join(sorted(taken))}: is named by the settings")
    return found


class DestinationsFile:
    def __init__(self, settings: NotifySettings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._seen = _stamp(settings.notify_destinations)
        self._looked_at = time.monotonic()
        self._log = log.get(__name__)

    def changed(self) -> DestinationsConfig | None:
        """The destinations, if the file is another than when it was last looked at, and is valid."""
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return None
        self._looked_at = time.monotonic()
        stamp = _stamp(self._settings.notify_destinations)
        if stamp == self._seen:
            return None
        self._seen = stamp
        try:
            found = configured(self._settings)
        except DestinationsError as fault:
            self._metrics.destinations_unreadable.set(1)
            self._log.error("destinations_at_fault", reason=str(fault))
            return None
        self._metrics.destinations_unreadable.set(0)
        self._log.info("destinations_changed", destinations=[one.name for one in found.destinations])
        return found


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    """None for a file that is away: whoever replaces one may have no file for a moment."""
    try:
        found = file.stat() if file is not None else None
    except OSError:
        return None
    return found and (found.st_mtime_ns, found.st_size, found.st_ino)


LAST_SECONDS = 0.5
"""What senders are given to finish the deliveries in hand when we stop; the receiver may be slow."""
CHANGE_SECONDS = 60.0
"""The same where a destination was changed: nobody waits for them, and most channels give up before."""


@dataclass
class DestinationQueue:
    """One destination. One that was taken out of the configuration stays until what is in its hands is back."""

    config: DestinationConfig
    outbox: Outbox
    sender: DestinationSender
    is_leaving: bool = False

    @property
    def destination(self) -> Destination:
        return Destination(self.config.channel, self.config.name)

    def judge(self, result: AttemptResult, jitter: float) -> None:
        """Whether the destination is down. Only what has arrived says that it is up again."""
        before = self.outbox.parked
        match result.verdict:
            case DestinationDown(reason, wait):
                self.outbox.park(reason, result.at, wait, jitter)
            case RetryLater(reason, wait):
                self.outbox.stumble(reason, result.at, wait, jitter)
            case OutcomeUnknown(reason):
                self.outbox.stumble(reason, result.at, None, jitter)
            case DeliveryAccepted():
                self.outbox.open()
            case MessageRejected():
                pass  # it has looked at the message
            case _:
                assert_never(result.verdict)
        parked, logger = self.outbox.parked, log.get(__name__)
        if parked is before:
            return
        if parked is None:
            logger.info("destination_up", destination=self.config.name, waiting=len(self.outbox))
            return
        tell = logger.error if self.outbox.is_unhealthy else logger.warning
        tell(
            "destination_down",
            destination=self.config.name,
            channel=self.config.channel,
            failures=parked.failures,
            waiting=len(self.outbox),
            reason=parked.reason,
            until=parked.until.isoformat(),
        )


class DestinationQueues:
    def __init__(self, senders: SenderPool, now: Callable[[], Instant], directory: MailDirectory) -> None:
        self._senders, self._now, self._directory = senders, now, directory
        self._posts: dict[Destination, DestinationQueue] = {}

    def __iter__(self) -> Iterator[DestinationQueue]:
        """Also those that are leaving."""
        return iter(list(self._posts.values()))

    def configure(self, configs: Sequence[DestinationConfig]) -> list[Delivery]:
        """From now on there are these destinations. Returns what has waited for those that are away."""
        wanted = {Destination(config.channel, config.name): config for config in configs}
        stranded: list[Delivery] = []
        for post in self:
            if post.destination not in wanted and not post.is_leaving:
                post.is_leaving = True
                self._senders.close(post.sender, LAST_SECONDS)
                stranded += [delivery for delivery in list(post.outbox) if post.outbox.drop(delivery)]
                self.let_go(post)
        for to, config in wanted.items():
            known = self._posts.get(to)
            if known is None:
                self._posts[to] = DestinationQueue(config, Outbox(SEND_LIMITS[config.channel]), self._open(config))
            elif known.config != config or known.is_leaving:
                # Changed by somebody, who may have mended it: what waits is tried at once.
                self._senders.close(known.sender, CHANGE_SECONDS)
                known.config, known.sender, known.is_leaving = config, self._open(config), False
                known.outbox.open()
        return stranded

    @property
    def parked(self) -> dict[str, Parked]:
        """By name the destinations that are down, all but hiccups."""
        unhealthy = (post for post in self if post.outbox.is_unhealthy)
        return {post.config.name: post.outbox.parked for post in unhealthy if post.outbox.parked is not None}

    def holding(self, delivery: Delivery) -> DestinationQueue:
        """Of a delivery that is in the hands of its destination."""
        return self._posts[Destination(delivery.channel, delivery.recipient)]

    def open_for(self, to: Destination) -> DestinationQueue | None:
        """None where there is no such destination any more."""
        post = self._posts.get(to)
        return None if post is None or post.is_leaving else post

    def named(self, name: str | None, delivery: Delivery) -> Destination | None:
        """None where there is none, or where it must not get what is of this programme."""
        post = next((post for post in self if post.config.name == name and not post.is_leaving), None)
        takes = post is not None and post.config.takes(delivery.tenant, delivery.program)
        return post.destination if post is not None and takes else None

    def renamed(self, delivery: Delivery) -> Delivery:
        """Older records name an address where newer ones have the name of the destination."""
        if Destination(delivery.channel, delivery.recipient) in self._posts:
            return delivery
        for config in (post.config for post in self):
            options, to = config.options, (delivery.channel, delivery.recipient)
            if isinstance(options, WebhookOptions) and to == ("webhook", options.target.url):
                return delivery.model_copy(update={"recipient": config.name})
        return delivery

    def let_go(self, post: DestinationQueue) -> None:
        """What was in its hands has come back: one that is leaving may be empty now."""
        if post.is_leaving and not post.outbox.in_hands:
            del self._posts[post.destination]

    def stop(self) -> None:
        """Gives all of them a moment to finish what is under way."""
        self._senders.stop([post.sender for post in self], LAST_SECONDS)

    def _open(self, config: DestinationConfig) -> DestinationSender:
        return self._senders.open(partial(opened, config, self._now, self._directory))
