"""What is fetched while Faust has stopped its flow is put back.

A fetch may be under way when a rebalance stops the flow, and end when recovery has already gone to the beginning of the
changelog. Faust drops its records and goes back to the committed offsets. The changelog has none: the dropped records
were never seen again, and recovery waited for them for ever."""

from collections.abc import Mapping, Sequence

from aiokafka.errors import IllegalStateError

from services.runtime import log
from services.scoring.flow.sequencer import Fetched, Untyped


def put_back_when_stopped(consumer: Untyped) -> None:
    """Once per consumer. `_fetch_records` runs in the consumer's thread, so that nothing comes between a fetch and the
    step back."""
    thread = consumer._thread  # noqa: SLF001
    if "_fetch_records" in vars(thread):
        return
    fetch = thread._fetch_records  # noqa: SLF001

    async def fetched(client: Untyped, partitions: Untyped, **options: Untyped) -> Mapping[Untyped, Sequence[Fetched]]:
        found: Mapping[Untyped, Sequence[Fetched]] = await fetch(client, partitions, **options)
        if consumer.flow_active:
            return found
        for tp, records in found.items():
            _step_back(client, tp, records)
        return {}

    thread._fetch_records = fetched  # noqa: SLF001


def _step_back(client: Untyped, tp: Untyped, records: Sequence[Fetched]) -> None:
    if not records:
        return
    try:
        client.seek(tp, records[0].offset)
    except IllegalStateError:
        return  # no more ours
    log.get(__name__).debug("put_back", topic=tp.topic, partition=tp.partition, offset=records[0].offset)
