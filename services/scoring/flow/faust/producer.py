"""A phase of writes on its way to the broker, in record batches: hundreds of records, one acknowledgement."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from services.scoring.flow.faust.scheduler import Untyped
from services.scoring.flow.records import Outgoing


class FaustProducer:
    """The application's own producer."""

    def __init__(self, app: Untyped) -> None:
        self._app = app

    async def write(self, outgoing: Iterable[Outgoing]) -> None:
        """In their order within each partition. Each is on the log when this returns."""
        # The one of aiokafka: it sends whole batches. There is no public way to it.
        client = self._app.producer._ensure_producer()  # noqa: SLF001
        sent = []
        for (topic, partition), records in groupby(outgoing, lambda one: (one.topic, one.partition)):
            if partition is None:
                # Whatever the key says: few, and nothing waits for them alone.
                sent += [await client.send(topic, r.value, key=r.key, headers=list(r.headers)) for r in records]
            else:
                sent += [await client.send_batch(b, topic, partition=partition) for b in _batches(client, records)]
        for acknowledgement in sent:
            await acknowledgement


def _batches(client: Untyped, records: Iterable[Outgoing]) -> Iterator[Untyped]:
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


def _appended(batch: Untyped, record: Outgoing) -> bool:
    added = batch.append(timestamp=None, key=record.key, value=record.value, headers=list(record.headers))
    return added is not None
