"""A sink that ends after each of its steps: whatever is stored by then, the next one makes all as it should be."""

import dataclasses
import random
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from services.runtime.clickhouse import ClickHouse
from services.runtime.health import Health
from services.runtime.kafka import Partition, Reader
from services.runtime.loop import BatchLoop
from services.runtime.partition_buffer import Limits
from services.runtime.unexpected import Breaker
from services.warehouse.domain.target import TABLES, Feed
from services.warehouse.flow.sink import Sink
from services.warehouse.flow.store import Meters, Store
from services.warehouse.service import group_reader
from tests.receiver import eventually
from tests.warehouse.conftest import PARTITIONS, Warehouse
from tests.warehouse.samples import held, retracted
from tests.warehouse.test_derived import (
    BEGIN,
    DAYS,
    History,
    aggregates,
    expected_pair_days,
    tell_corrections,
    tell_history,
)

STORED = ("events", "events_by_type", "score_history", "score_revisions")
# Of two batches: the plan, an insert for each table and month, dead letters, the commit.
MIN_STEPS = 10


class EndedHereError(Exception):
    """In place of a kill: nothing after it is done, and nothing of the sink is left."""


class Steps:
    """Counts what the sink does to the log and the tables, and ends it after one of them, which was done."""

    def __init__(self, last: int | None) -> None:
        self.done, self._last = 0, last

    def counted(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:  # noqa: ANN401
            answer = step(*given, **named)
            self.done += 1
            if self.done == self._last:
                raise EndedHereError
            return answer

        return counted


def run(warehouse: Warehouse, feed: Feed, last: int | None) -> int:
    """Stores until everything is committed, or until the step at which the sink ends. Returns how many it has done."""
    steps, stop, ended = Steps(last), threading.Event(), threading.Event()
    with closing(group_reader(warehouse.settings, feed)) as reader, closing(ClickHouse(warehouse.settings)) as client:
        setattr(reader, "commit", steps.counted(reader.commit))  # noqa: B010 (a method of this one only)
        setattr(client, "insert_columns", steps.counted(client.insert_columns))  # noqa: B010
        store = Store([client], Breaker(), Meters(CollectorRegistry()))
        sink = Sink(reader, feed, store, warehouse.recomputing(stop))
        loop = BatchLoop(reader, sink, Health(), Limits(seconds=0.2))

        def work() -> None:
            try:
                loop.run(stop)
            except EndedHereError:
                ended.set()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            eventually(lambda: ended.is_set() or is_committed(warehouse, feed), what="the commit or the end")
        finally:
            stop.set()
            thread.join(60)
    assert ended.is_set() == (last is not None)
    return steps.done


def is_committed(warehouse: Warehouse, feed: Feed) -> bool:
    with closing(Reader(warehouse.settings, feed.group)) as asker:
        places = [Partition(topic, number) for topic in feed.targets for number in range(PARTITIONS)]
        ends = asker.end_offsets(places)
        done = {place: found.offset for place in places if (found := asker.committed(place))}
    return all(done.get(place, 0) >= end for place, end in ends.items())


def state(warehouse: Warehouse) -> list[object]:
    warehouse.recompute()
    rows = [
        warehouse.ask(
            f"SELECT count(), sum(cityHash64(* EXCEPT inserted_at)) FROM mentoring.{table} FINAL "
            "WHERE tenant_id = {tenant}"
        )
        for table in STORED
    ]
    [(dead,)] = warehouse.ask(
        f"SELECT count() FROM mentoring.dead_letter FINAL WHERE startsWith(topic, '{warehouse.feed.group}.')"
    )
    return [*aggregates(warehouse), *rows, dead]


def emptied(warehouse: Warehouse) -> None:
    """Whole tables: to find the rows of one tenant in them takes several times as long. At first also because what
    other tests have stored a moment ago would be recomputed after each step, and what they have erased looked for."""
    for table in (*TABLES, "mentoring.erased", "mentoring.dead_letter"):
        warehouse.clickhouse.command(f"TRUNCATE TABLE {table}")


def test_a_sink_that_ends_after_any_of_its_steps_is_followed_by_one_that_leaves_everything_as_it_should_be(
    warehouse: Warehouse,
) -> None:
    emptied(warehouse)
    chance, history = random.Random(12), History()
    pairs = warehouse.placed(2)
    told = [
        held(BEGIN + timedelta(hours=chance.randrange(24 * DAYS)), pairs[n % 2], warehouse.tenant, id=f"h-{n}")
        for n in range(12)
    ]
    warehouse.write("events", *told, retracted(told[0], told[0].subject, warehouse.tenant))
    warehouse.write_bytes("events", [b"no event"])
    tell_history(warehouse, history, chance)
    tell_corrections(warehouse, history, chance)
    whole = run(warehouse, dataclasses.replace(warehouse.feed, group=f"{warehouse.feed.group}-whole"), None)
    expected = state(warehouse)
    assert expected[1] == expected_pair_days(history, told[1:])
    assert expected[-1] == 1

    for step in range(1, whole + 1):
        emptied(warehouse)
        feed = dataclasses.replace(warehouse.feed, group=f"{warehouse.feed.group}-{step}")

        run(warehouse, feed, step)
        run(warehouse, feed, None)

        assert state(warehouse) == expected, step
    assert whole >= MIN_STEPS
