"""What the consumer of Faust and aiokafka has no setting for: its heartbeats are noted, work counts as polling, what
is fetched while Faust has stopped its flow is fetched again, and only what is applied is committed.

A fetch may be under way when a rebalance stops the flow, and end when recovery has already gone to the beginning of the
changelog. Faust drops its records and goes back to the committed offsets. The changelog has none: the dropped records
were never seen again, and recovery waited for them for ever.

After recovery Faust sets its note of what it has read back to the committed offsets, while batches may be on their way
already. It takes all up to the next batch for a gap, and a gap behind an acknowledged batch for acknowledged: it
committed batches that were still worked on."""

import time
from collections.abc import Callable, Mapping, Sequence

from aiokafka.errors import IllegalStateError

from services.runtime import log
from services.scoring.flow.faust.scheduler import Untyped


def note_heartbeats(consumer: Untyped, noted: Callable[[float], object]) -> None:
    """Once per coordinator. `noted` is told when each heartbeat was sent that the broker acknowledged: aiokafka keeps
    the time of the last one in a local variable. It is called in the consumer's thread."""
    coordinator = _client(consumer)._coordinator  # noqa: SLF001
    if "_do_heartbeat" in vars(coordinator):
        return
    beat = coordinator._do_heartbeat  # noqa: SLF001

    async def noting() -> bool:
        asked = time.monotonic()
        acknowledged: bool = await beat()
        if acknowledged:
            noted(asked)
        return acknowledged

    coordinator._do_heartbeat = noting  # noqa: SLF001


def note_poll(consumer: Untyped) -> None:
    """Counts as a poll. While a worker recovers, or works on what was fetched, Faust fetches nothing; aiokafka would
    take that for a hung process and leave the group. Called by the work itself: a worker that hangs still leaves."""
    _client(consumer)._subscription._last_fetch_ended = time.monotonic()  # noqa: SLF001


def refetch_dropped(consumer: Untyped) -> None:
    """Once per consumer. `_fetch_records` runs in the consumer's thread, so that nothing comes between a fetch and the
    step back."""
    thread = consumer._thread  # noqa: SLF001
    if "_fetch_records" in vars(thread):
        return
    fetch = thread._fetch_records  # noqa: SLF001

    async def fetched(client: Untyped, partitions: Untyped, **options: Untyped) -> Mapping[Untyped, Sequence[Untyped]]:
        found: Mapping[Untyped, Sequence[Untyped]] = await fetch(client, partitions, **options)
        if consumer.flow_active:
            return found
        for tp, records in found.items():
            _step_back(client, tp, records)
        return {}

    thread._fetch_records = fetched  # noqa: SLF001


def commit_applied(consumer: Untyped, applied: Callable[[int], int | None]) -> None:
    """Once per consumer. An acknowledgement says when to commit a partition; which offset, `applied` does. The gaps are
    not noted: nothing asks for them any more."""

    def offset(tp: Untyped) -> int | None:
        if not consumer._acked[tp]:  # noqa: SLF001
            return None
        consumer._acked[tp].clear()  # noqa: SLF001
        consumer._acked_index[tp].clear()  # noqa: SLF001
        return applied(tp.partition)

    async def no_gap(_tp: Untyped, _first: int, _last: int) -> None:
        pass

    consumer._new_offset, consumer._add_gap = offset, no_gap  # noqa: SLF001


def _client(consumer: Untyped) -> Untyped:
    return consumer._thread._ensure_consumer()  # noqa: SLF001


def _step_back(client: Untyped, tp: Untyped, records: Sequence[Untyped]) -> None:
    if not records:
        return
    try:
        client.seek(tp, records[0].offset)
    except IllegalStateError:
        return  # no more ours
    log.get(__name__).debug("refetch_dropped", topic=tp.topic, partition=tp.partition, offset=records[0].offset)
