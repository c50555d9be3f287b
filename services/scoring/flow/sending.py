"""A phase of writes on its way to the broker, in record batches: hundreds of records, one acknowledgement."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from services.scoring.flow.records import Outgoing

Acknowledgement = Any
"""aiokafka publishes no types; something to await."""


async def send(client: Any, outgoing: Iterable[Outgoing]) -> list[Acknowledgement]:  # noqa: ANN401 (aiokafka's producer)
    """Hands all over, in their order within each partition; each is on the log when what is returned was awaited."""
    sent = []
    for (topic, partition), records in groupby(outgoing, lambda one: (one.topic, one.partition)):
        if partition is None:
            # Whatever the key says: few, and nothing waits for them alone.
            sent += [await client.send(topic, r.value, key=r.key, headers=list(r.headers)) for r in records]
        else:
            sent += [await client.send_batch(batch, topic, partition=partition) for batch in _batches(client, records)]
    return sent


def _batches(client: Any, records: Iterable[Outgoing]) -> Iterable[Any]:  # noqa: ANN401
    """Closed ones: they do not linger. A record larger than a batch may be gets one of its own."""
    batch = client.create_batch()
    for record in records:
        if _appended(batch, record):
            continue
        batch.close()
        yield batch
        batch = client.create_batch()
        _appended(batch, record)
    batch.close()
    yield batch


def _appended(batch: Any, record: Outgoing) -> bool:  # noqa: ANN401
    added = batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
    return added is not None
