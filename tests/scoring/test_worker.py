"""The worker without a broker: its input, and its writes."""

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from schemas.events import to_json
from services.runtime.kafka import partition_of
from services.runtime.unexpected import BadDeployError
from services.scoring.domain.changelog import Recovery
from services.scoring.flow.assigned_partition import Sizes
from services.scoring.flow.liveness import Liveness
from services.scoring.flow.metrics import ScoringMetrics
from services.scoring.flow.worker import Outgoing, Worker
from services.scoring.topics import Topics
from tests.scoring.building import held

PARTITIONS = 2
EVENT = held(1)
CALM = partition_of(EVENT.partitionkey.encode(), PARTITIONS)
SPOILT = 1 - CALM


class Acknowledging:
    async def write(self, outgoing: Iterable[Outgoing]) -> None:
        """As a broker that takes everything at once."""


def record(offset: int, value: bytes) -> SimpleNamespace:
    return SimpleNamespace(offset=offset, key=EVENT.partitionkey.encode(), value=value)


def test_what_gets_through_on_one_partition_hides_no_bad_deploy_on_another() -> None:
    async def run() -> None:
        liveness = Liveness(session_seconds=15, rebalance_seconds=30)
        liveness.joined(lambda: None)
        sizes = Sizes(PARTITIONS, indexed_facts=1_000)
        worker = Worker(Topics(), sizes, Acknowledging(), ScoringMetrics(CollectorRegistry()), liveness)
        for number in range(PARTITIONS):
            assert await worker.restore(number, Recovery())
        for offset in range(99):
            assert await worker.apply(SPOILT, [record(offset, b"{broken")]) is None
            assert await worker.apply(CALM, [record(offset, to_json(EVENT))]) is None

        with pytest.raises(BadDeployError):
            await worker.apply(SPOILT, [record(99, b"{broken")])

    asyncio.run(run())
