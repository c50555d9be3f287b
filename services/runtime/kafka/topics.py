"""Creating topics."""

import time
from collections.abc import Mapping
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from services.runtime.kafka.options import client_options
from services.runtime.settings import Settings

COORDINATOR_WITHIN = 30
"""Seconds a broker may take to be ready for consumer groups."""


def create_topics(settings: Settings, topics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Creates what does not exist yet, {name: {num_partitions, replication_factor, configs}}; returns the new names.
    Then consumer groups can be joined: a new broker makes the topic of their offsets at the first question."""
    admin = KafkaAdminClient(**client_options(settings))
    try:
        there = set(admin.list_topics())
        missing = {name: dict(options) for name, options in topics.items() if name not in there}
        if missing:
            admin.create_topics(missing, timeout_ms=30_000, wait_for_metadata=True)
        _await_coordinator(admin)
        return sorted(missing)
    finally:
        admin.close()


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
