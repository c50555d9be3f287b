"""Administration of topics and groups: create, inspect, seal, unseal, delete."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, ConfigSourceType
from kafka.errors import KafkaError

from services.runtime.kafka.connecting import client_options
from services.runtime.kafka.write_group import MAX_MESSAGE_BYTES
from services.runtime.settings import Settings

# No record batch is that small: the broker refuses every produce request, whatever its acks.
SEAL = {MAX_MESSAGE_BYTES: "0"}
FOLLOWED_WITHIN = 2.0
"""Seconds: the controller answers first, and the brokers apply the change a moment later."""
COORDINATOR_WITHIN = 30
"""Seconds until a broker serves consumer groups."""


def create_topics(settings: Settings, topics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Create the topics that do not exist, {name: {num_partitions, replication_factor, configs}}; return their names.
    Then wait until consumer groups can be joined: a new broker creates its offsets topic at the first request."""
    with _admin(settings) as admin:
        there = set(admin.list_topics())
        missing = {name: dict(options) for name, options in topics.items() if name not in there}
        if missing:
            admin.create_topics(missing, timeout_ms=30_000, wait_for_metadata=True)
        _await_coordinator(admin)
        return sorted(missing)


def members(settings: Settings, group: str) -> list[str]:
    """Return the client ids of the group's current members; empty if the group does not exist."""
    with _admin(settings) as admin:
        return [str(member["client_id"]) for member in admin.describe_groups([group])[group]["members"]]


def replicas(settings: Settings, topic: str) -> int:
    """Return the replication factor of the topic."""
    with _admin(settings) as admin:
        (described,) = admin.describe_topics([topic])
        return len(described["partitions"][0]["replica_nodes"])


def seal(settings: Settings, topics: Sequence[str]) -> None:
    """Make topics read-only. When this returns, nothing can be written to them."""
    with _admin(settings) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, SEAL) for topic in topics])
    time.sleep(FOLLOWED_WITHIN)


def unseal(settings: Settings, topics: Mapping[str, int]) -> None:
    """Make topics writable again, each with this `max.message.bytes`."""
    with _admin(settings) as admin:
        admin.alter_configs(
            [
                ConfigResource(ConfigResourceType.TOPIC, topic, {MAX_MESSAGE_BYTES: str(most)})
                for topic, most in topics.items()
            ]
        )
    time.sleep(FOLLOWED_WITHIN)


def raise_limits(settings: Settings, topics: Mapping[str, int]) -> list[str]:
    """Raise `max.message.bytes` of topics where it is lower; return the changed topics. A sealed topic stays sealed."""
    with _admin(settings) as admin:
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic, [MAX_MESSAGE_BYTES]) for topic in topics]
        found = admin.describe_configs(asked, config_filter="all")["topic"]
        now = {
            topic: int(options[MAX_MESSAGE_BYTES]["value"])
            for topic, options in found.items()
            if MAX_MESSAGE_BYTES in options
        }
        low = sorted(topic for topic, most in topics.items() if 0 < now.get(topic, 0) < most)
        if low:
            raised = [
                ConfigResource(ConfigResourceType.TOPIC, topic, {MAX_MESSAGE_BYTES: str(topics[topic])})
                for topic in low
            ]
            admin.alter_configs(raised)
    return low


def add_options(settings: Settings, topics: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Set options that existing topics do not override yet, {name: {option: value}}; return the changed topics. An
    option that an operator has set is kept."""
    with _admin(settings) as admin:
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic, list(given)) for topic, given in topics.items()]
        found = admin.describe_configs(asked, config_filter="all")["topic"] if asked else {}
        missing = {
            topic: {
                name: value
                for name, value in topics[topic].items()
                if name in options and options[name]["config_source"] != ConfigSourceType.DYNAMIC_TOPIC_CONFIG.name
            }
            for topic, options in found.items()
        }
        changed = [topic for topic, options in missing.items() if options]
        if changed:
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, missing[topic]) for topic in changed])
    return sorted(changed)


def existing(settings: Settings, topics: Sequence[str]) -> list[str]:
    with _admin(settings) as admin:
        there = set(admin.list_topics())
    return [topic for topic in topics if topic in there]


def delete_topics(settings: Settings, topics: Sequence[str]) -> None:
    with _admin(settings) as admin:
        admin.delete_topics(list(topics), timeout_ms=30_000)


def _await_coordinator(admin: KafkaAdminClient) -> None:
    deadline = time.monotonic() + COORDINATOR_WITHIN
    while True:
        try:
            admin.list_group_offsets("rapport")
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


@contextmanager
def _admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(**client_options(settings))
    try:
        yield admin
    finally:
        admin.close()
