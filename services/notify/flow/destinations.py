"""The destinations as the environment and the file configure them now, each with its outbox and its sender task. An
invalid file changes nothing: it is reported, and the previous configuration stays in force."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import assert_never

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.channels.channel import SEND_LIMITS, open_channel
from services.notify.channels.destinations_file import load_destinations
from services.notify.channels.smtp import MailDirectory
from services.notify.domain.deliveries import (
    AttemptResult,
    DeliveryAccepted,
    DestinationDown,
    MailboxPutOff,
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

CHECK_SECONDS = 2.0


def load_configured(settings: NotifySettings, environ: Mapping[str, str] = os.environ) -> DestinationsConfig:
    """Raises DestinationsError."""
    own = tuple(settings.destinations())
    if settings.notify_destinations is None:
        return DestinationsConfig(own)
    config = load_destinations(settings.notify_destinations, environ, own)
    duplicates = {one.name for one in own} & {one.name for one in config.destinations[len(own) :]}
    if duplicates:
        raise DestinationsError(
            f"{settings.notify_destinations}: {', '.join(sorted(duplicates))}: is named by the settings"
        )
    return config


class DestinationsFile:
    def __init__(self, settings: NotifySettings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._last_stamp = _stamp(settings.notify_destinations)
        self._checked_at = time.monotonic()
        self._log = log.get(__name__)

    def poll_changes(self) -> DestinationsConfig | None:
        """Return the new configuration if the file has changed since the last check and is valid, else None."""
        if time.monotonic() - self._checked_at < CHECK_SECONDS:
            return None
        self._checked_at = time.monotonic()
        stamp = _stamp(self._settings.notify_destinations)
        if stamp == self._last_stamp:
            return None
        self._last_stamp = stamp
        try:
            found = load_configured(self._settings)
        except DestinationsError as fault:
            self._metrics.destinations_unreadable.set(1)
            self._log.error("destinations_at_fault", reason=str(fault))
            return None
        self._metrics.destinations_unreadable.set(0)
        self._log.info("destinations_changed", destinations=[one.name for one in found.destinations])
        return found


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    """Return mtime, size and inode; None for a missing file, since replacing a file may leave a moment without one."""
    try:
        found = file.stat() if file is not None else None
    except OSError:
        return None
    return found and (found.st_mtime_ns, found.st_size, found.st_ino)


SHUTDOWN_SECONDS = 0.5
"""How long senders may finish deliveries in flight when we stop; the receiver may be slow."""
RECONFIGURE_SECONDS = 60.0
"""The same after a configuration change: nothing waits for them, and most channels time out before."""


@dataclass
class DestinationQueue:
    """One destination with its outbox and sender. A removed destination drains: it stays until its deliveries in flight
    are back."""

    config: DestinationConfig
    outbox: Outbox
    sender: DestinationSender
    is_draining: bool = False

    @property
    def destination(self) -> Destination:
        return Destination(self.config.channel, self.config.name)

    def record_result(self, result: AttemptResult, jitter: float) -> None:
        """Park or reopen the destination by the result of an attempt. Only an accepted message reopens it."""
        before = self.outbox.parked
        match result.verdict:
            case DestinationDown(reason, wait):
                self.outbox.park(reason, result.at, wait, jitter)
            case RetryLater(reason, wait):
                self.outbox.record_failure(reason, result.at, wait, jitter)
            case OutcomeUnknown(reason):
                self.outbox.record_failure(reason, result.at, None, jitter)
            case DeliveryAccepted():
                self.outbox.open()
            case MessageRejected() | MailboxPutOff():
                pass  # the destination works: it has inspected the message
            case _:
                assert_never(result.verdict)
        parked, logger = self.outbox.parked, log.get(__name__)
        if parked is before:
            return
        if parked is None:
            logger.info("destination_up", destination=self.config.name, waiting=len(self.outbox))
            return
        log_event = logger.error if self.outbox.is_unhealthy else logger.warning
        log_event(
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
        self._queues: dict[Destination, DestinationQueue] = {}

    def __iter__(self) -> Iterator[DestinationQueue]:
        """Iterate over all queues, also those that drain."""
        return iter(list(self._queues.values()))

    def configure(self, configs: Sequence[DestinationConfig]) -> list[Delivery]:
        """Replace the destinations. Returns the deliveries that wait for removed ones."""
        configured = {Destination(config.channel, config.name): config for config in configs}
        stranded: list[Delivery] = []
        for queue in self:
            if queue.destination not in configured and not queue.is_draining:
                queue.is_draining = True
                self._senders.close(queue.sender, SHUTDOWN_SECONDS)
                stranded += [delivery for delivery in list(queue.outbox) if queue.outbox.drop(delivery)]
                self.remove_drained(queue)
        for to, config in configured.items():
            existing = self._queues.get(to)
            if existing is None:
                self._queues[to] = DestinationQueue(config, Outbox(SEND_LIMITS[config.channel]), self._open(config))
            elif existing.config != config or existing.is_draining:
                # Somebody may have fixed the destination: retry waiting deliveries at once.
                self._senders.close(existing.sender, RECONFIGURE_SECONDS)
                existing.config, existing.sender, existing.is_draining = config, self._open(config), False
                existing.outbox.open()
        return stranded

    @property
    def parked(self) -> dict[str, Parked]:
        """The destinations that are down, by name, without single hiccups."""
        unhealthy = (queue for queue in self if queue.outbox.is_unhealthy)
        return {queue.config.name: queue.outbox.parked for queue in unhealthy if queue.outbox.parked is not None}

    def queue_of(self, delivery: Delivery) -> DestinationQueue:
        """Return the queue of a delivery in flight."""
        return self._queues[Destination(delivery.channel, delivery.recipient)]

    def active(self, to: Destination) -> DestinationQueue | None:
        """Return the queue of a destination; None where it does not exist or drains."""
        queue = self._queues.get(to)
        return None if queue is None or queue.is_draining else queue

    def fallback_for(self, name: str | None, delivery: Delivery) -> Destination | None:
        """Return the fallback of this name; None where there is none, or where it must not get deliveries of this
        programme."""
        queue = next((queue for queue in self if queue.config.name == name and not queue.is_draining), None)
        accepts = queue is not None and queue.config.accepts(delivery.tenant, delivery.program)
        return queue.destination if queue is not None and accepts else None

    def with_current_name(self, delivery: Delivery) -> Delivery:
        """Replace the address that older records hold by the name of the destination."""
        if Destination(delivery.channel, delivery.recipient) in self._queues:
            return delivery
        for config in (queue.config for queue in self):
            options, to = config.options, (delivery.channel, delivery.recipient)
            if isinstance(options, WebhookOptions) and to == ("webhook", options.target.url):
                return delivery.model_copy(update={"recipient": config.name})
        return delivery

    def remove_drained(self, queue: DestinationQueue) -> None:
        """Remove a draining destination once nothing is in flight."""
        if queue.is_draining and not queue.outbox.in_flight:
            del self._queues[queue.destination]

    def stop(self) -> None:
        """Give all senders a moment to finish what is in flight."""
        self._senders.stop([queue.sender for queue in self], SHUTDOWN_SECONDS)

    def _open(self, config: DestinationConfig) -> DestinationSender:
        return self._senders.open(partial(open_channel, config, self._now, self._directory))
