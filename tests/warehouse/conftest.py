"""A migrated ClickHouse for the tests of the warehouse, and the topics of one test with a sink on them."""

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from deploy.local.clickhouse import ClickHouseConfig, LocalClickHouse, User
from deploy.local.clickhouse.users import Role
from deploy.local.kafka import LocalKafka
from schemas.events import CloudEvent, partition_key, to_json
from services.runtime.clickhouse import ClickHouse
from services.runtime.health import Health
from services.runtime.kafka import Committed, Partition, Producer, Reader, create_topics, partition_of
from services.runtime.loop import BatchLoop
from services.runtime.partition_buffer import Batch, Limits
from services.runtime.unexpected import Breaker
from services.warehouse.domain.target import Feed
from services.warehouse.flow.derived import DerivedTables
from services.warehouse.flow.recomputing import RecomputeThread
from services.warehouse.flow.sink import Sink
from services.warehouse.flow.store import Meters, Store
from services.warehouse.service import group_reader
from services.warehouse.settings import WarehouseSettings
from tests.conftest import WithTables
from tests.receiver import eventually
from tests.warehouse.run_service import feed

PARTITIONS = 2
READER_PASSWORD = "reads only"
AnyEvent = CloudEvent[Any, Any]


class NotingSink(Sink):
    """Records the ranges that it handled, in order."""

    def __init__(self, reader: Reader, feed: Feed, store: Store, recomputing: RecomputeThread) -> None:
        super().__init__(reader, feed, store, recomputing)
        self.ranges: list[tuple[int, int]] = []

    def begin(self, batch: Batch) -> Callable[[], Mapping[str, object]]:
        self.ranges.append((batch.first, batch.last))
        return super().begin(batch)


class NeverDue(DerivedTables):
    """For sinks whose stored rows alone are tested: the first scan covers all rows of three minutes, those of other
    tests included, which takes more of the engine's CPU than the test does."""

    def recompute_if_due(self) -> None:
        """Do nothing: tests recompute derived tables themselves."""


@dataclass
class Running:
    """A sink with its loop; `failure` is the exception that ended the loop."""

    sink: NotingSink
    loop: BatchLoop
    health: Health
    stop: threading.Event
    failure: Exception | None = None

    def run(self) -> None:
        try:
            self.loop.run(self.stop)
        except Exception as failure:  # noqa: BLE001 (the test looks at it)
            self.failure = failure

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Return as soon as the condition holds. Raises the exception that ended the loop before."""
        eventually(lambda: self.failure is not None or holds(), what=what)
        if self.failure is not None:
            raise self.failure


@dataclass
class Warehouse:
    """The topics of one test, and a tenant of its own. `asker` reads the group's committed offsets without being a
    member."""

    settings: WarehouseSettings
    feed: Feed
    clickhouse: ClickHouse
    producer: Producer
    asker: Reader

    @property
    def tenant(self) -> str:
        return self.feed.group

    def topic(self, kind: str) -> str:
        return f"{self.feed.group}.{kind}"

    def write(self, kind: str, *events: AnyEvent, partition: int = 0) -> None:
        """Events of the log are written to the partition of their key; `placed` finds relationships for a partition."""
        for event in events:
            key = str(getattr(event, "partitionkey", "key")).encode()
            number = None if kind == "events" else partition
            self.producer.send(self.topic(kind), key, to_json(event), partition=number)
        self.producer.flush()

    def write_bytes(self, kind: str, values: list[bytes | None], partition: int = 0) -> None:
        self.write_records(kind, [(b"key", value) for value in values], partition)

    def write_records(self, kind: str, records: Sequence[tuple[bytes, bytes | None]], partition: int = 0) -> None:
        for sent in [self.producer.send(self.topic(kind), key, value, partition=partition) for key, value in records]:
            sent.get(30)

    def placed(self, count: int, partition: int = 0) -> list[str]:
        """Return this many relationships of the test's tenant whose key belongs to this partition."""
        names = (f"r-{number}" for number in itertools.count(1))
        here = (r for r in names if partition_of(partition_key(self.tenant, r).encode(), PARTITIONS) == partition)
        return list(itertools.islice(here, count))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """`{tenant}` stands for the tenant of the test."""
        return self.clickhouse.query(sql.replace("{tenant}", f"'{self.tenant}'"))

    def count(self, table: str) -> int:
        [(rows,)] = self.ask(f"SELECT count() FROM {table} FINAL WHERE tenant_id = {{tenant}}")
        return int(rows)

    def sink_on(self, reader: Reader, recomputing: RecomputeThread) -> NotingSink:
        store = Store([ClickHouse(self.settings), ClickHouse(self.settings)], Breaker(), Meters(CollectorRegistry()))
        return NotingSink(reader, self.feed, store, recomputing)

    def recomputing(self, stop: threading.Event) -> RecomputeThread:
        return RecomputeThread(DerivedTables(ClickHouse(self.settings), 0.1, stop))

    @contextmanager
    def running(self, instance: str = "1", derived: DerivedTables | None = None) -> Iterator[Running]:
        reader = group_reader(self.settings.model_copy(update={"instance": instance}), self.feed)
        stop, health = threading.Event(), Health()
        beside = RecomputeThread(derived) if derived else self.recomputing(stop)
        sink = self.sink_on(reader, beside)
        limits = Limits(records=self.settings.warehouse_flush_records, seconds=self.settings.warehouse_flush_seconds)
        found = Running(sink, BatchLoop(reader, sink, health, limits), health, stop)
        thread = threading.Thread(target=found.run)
        with beside:
            thread.start()
            try:
                yield found
            finally:
                stop.set()
                thread.join(60)
                reader.close()

    def never_due(self) -> DerivedTables:
        """For `running`, in tests that do not use derived tables."""
        return NeverDue(self.clickhouse, 0.1, threading.Event())

    def store_all(self) -> list[tuple[int, int]]:
        """Run a sink until every record of the topics is committed; return the ranges it handled. Derived tables are
        not recomputed, see `recompute`."""
        with self.running(derived=self.never_due()) as running:
            running.until(self.is_committed, "the commit of everything")
        if running.failure:
            raise running.failure
        return running.sink.ranges

    def forget_commits(self) -> None:
        """Make the next sink start at offset 0. A member with an instance name stays in its group until its session
        expires, and until then nobody else may commit."""
        with closing(Reader(self.settings, self.feed.group)) as reader:
            beginning = {partition: Committed(0) for partition in reader.assign(sorted(self.feed.targets))}
            eventually(lambda: reader.commit(beginning), what="a group without members")

    def recompute(self) -> None:
        """Recompute the derived tables, as a sink does after it has stored rows."""
        DerivedTables(self.clickhouse, 0, threading.Event()).recompute_if_due()

    def is_committed(self) -> bool:
        ends = self.asker.end_offsets([Partition(t, n) for t in self.feed.targets for n in range(PARTITIONS)])
        done = {p: found.offset for p in ends if (found := self.asker.committed(p))}
        # A transactional topic ends with a marker, which no consumer reads.
        markers = {p: 1 if p.topic == self.topic("alerts") else 0 for p in ends}
        return all(done.get(p, 0) >= end - markers[p] for p, end in ends.items())

    def committed(self, kind: str) -> Committed | None:
        return self.asker.committed(Partition(self.topic(kind), 0))


@pytest.fixture(scope="session")
def warehouse_server(with_tables: WithTables, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalClickHouse]:
    """A separate server: some tests stop it, others change its tables for a while."""
    users = (
        User.with_password("default", "", Role.WRITER),
        User.with_password("reader", READER_PASSWORD, Role.READER),
    )
    data = with_tables(tmp_path_factory.mktemp("warehouse"))
    with LocalClickHouse(ClickHouseConfig(data, users=users)) as server:
        yield server


@pytest.fixture
def warehouse(local_kafka: LocalKafka, warehouse_server: LocalClickHouse) -> Iterator[Warehouse]:
    settings = WarehouseSettings(
        kafka=local_kafka.bootstrap, clickhouse=warehouse_server.url, warehouse_flush_seconds=0.2
    )
    found = feed(next(filter(_has_r_1_on_the_first_partition, iter(lambda: f"warehouse-{uuid.uuid4().hex[:8]}", ""))))
    options = {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": {}}
    create_topics(settings, dict.fromkeys(found.targets, options))
    with (
        closing(ClickHouse(settings)) as clickhouse,
        closing(Producer(settings)) as producer,
        closing(Reader(settings, found.group)) as asker,
    ):
        yield Warehouse(settings, found, clickhouse, producer, asker)


def _has_r_1_on_the_first_partition(tenant: str) -> bool:
    """r-1 is the relationship of the samples."""
    return partition_of(partition_key(tenant, "r-1").encode(), PARTITIONS) == 0
