"""Exclusive maintenance: heal, replay and repartition compare what is stored and replace it, so running two at once
would corrupt the result. The running command is the only member of a consumer group over the changelog, and continues
only while it holds all of its partitions."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager

from services.runtime.kafka import Reader
from services.runtime.kafka.admin import members
from services.runtime.settings import Settings

GROUP = "rapport-maintenance"
SESSION_SECONDS = 6
"""A killed command stays a member for this long."""
LEAVE_SECONDS = SESSION_SECONDS + 4
JOIN_SECONDS = 30
POLL_SECONDS, CHECK_SECONDS = 0.3, 0.1
_MAX_POLL_INTERVAL_MS = 24 * 3_600_000


class MaintenanceRefusedError(Exception):
    """Another command is running; the message names it."""


class MaintenanceLostError(Exception):
    """The group has given our partitions to another member: nothing more may be written."""


EXCLUSIVE = (MaintenanceRefusedError, MaintenanceLostError)


class Maintenance:
    """For use by one thread. Heartbeats come from the consumer's own thread, however long a step takes."""

    def __init__(self, reader: Reader, topic: str) -> None:
        self._reader, self._partition_count = reader, reader.partition_count(topic)

    def join(self) -> bool:
        """Whether all partitions are ours within the timeout."""
        deadline = time.monotonic() + JOIN_SECONDS
        while time.monotonic() < deadline and not self._holds_all():
            self._reader.poll(POLL_SECONDS, most=1)
        return self._holds_all()

    def check(self) -> None:
        """Called before each step that writes. Raises MaintenanceLostError, KafkaError."""
        if self._holds_all():
            self._reader.pause(sorted(self._reader.assignment()))
        # Not with a timeout of 0: a rebalance in progress needs some responses of the broker.
        self._reader.poll(CHECK_SECONDS, most=1)
        if not self._holds_all():
            raise MaintenanceLostError("another maintenance command has begun, this one ends; run it again later")

    def _holds_all(self) -> bool:
        return len(self._reader.assignment()) == self._partition_count


@contextmanager
def exclusive_maintenance(settings: Settings, topic: str, command: str, group: str = GROUP) -> Iterator[Maintenance]:
    """While the block runs, no other command maintains what is stored in this changelog. Raises
    MaintenanceRefusedError, KafkaError."""
    if others := members_after(settings, group, LEAVE_SECONDS):
        raise MaintenanceRefusedError(_refusal(command, others))
    name = f"{command} on {platform.node()}, process {os.getpid()}"
    reader = Reader(
        settings,
        group,
        client_id=name,
        group_instance_id=None,
        session_timeout_ms=SESSION_SECONDS * 1000,
        heartbeat_interval_ms=SESSION_SECONDS * 1000 // 4,
        # A step may take hours; heartbeats show that the process lives.
        max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
    )
    try:
        reader.subscribe([topic])
        held = Maintenance(reader, topic)
        if not held.join():
            others = [other for other in members(settings, group) if other != name]
            raise MaintenanceRefusedError(_refusal(command, others))
        yield held
    finally:
        reader.close()


def members_after(settings: Settings, group: str, seconds: float) -> list[str]:
    """The members of a group that do not leave it within this time; one that was stopped or killed a moment ago
    does."""
    deadline = time.monotonic() + seconds
    while (found := members(settings, group)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return found


def _refusal(command: str, others: list[str]) -> str:
    return f"{command} waits for nobody: {' and '.join(others) or 'another one'} is at work; run it again afterwards"
