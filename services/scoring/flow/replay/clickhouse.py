"""The table `mentoring.events` as the source of a replay: its columns and `payload` carry all that scoring reads.

It is the log but for what the table cannot hold: of two events with one id and time it has the first, where scoring
takes them for two facts if they name another side or goal; and no record that the warehouse set aside."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from schemas.events import partition_key
from schemas.primitives import to_rfc3339
from services.runtime.clickhouse import ClickHouse
from services.runtime.settings import Settings
from services.scoring.flow.log_reading import Stored
from services.scoring.flow.replay.kafka import upto
from services.scoring.flow.replay.source import Logged, Part
from services.scoring.flow.whole_log import Passed
from services.scoring.names import Names

ROWS_AT_ONCE = 100_000
"""Rows of one answer: each is some objects in memory."""
_COUNT = "SELECT count() FROM mentoring.events FINAL"
# The order of columns is that of _logged.
_EVENTS = """
SELECT log_partition, position, tenant_id, relationship_id, program_id, source, id, type, occurred_at, recorded_at,
       payload
FROM mentoring.events FINAL
WHERE cityHash64(tenant_id, relationship_id) % {of:UInt64} = {number:UInt64}
ORDER BY position
"""


class ClickHouseSource:
    name = "clickhouse"

    def __init__(self, settings: Settings, names: Names, known: Stored) -> None:
        """Raises ClickHouseError."""
        self._settings, self.upto = settings, upto(names, known)
        with closing(ClickHouse(settings)) as warehouse:
            [(self.size,)] = warehouse.query(_COUNT)

    def records(self, part: Part, passed: Passed) -> Iterator[Logged]:
        """Raises ClickHouseError."""
        slices = max(1, self.size // part.of // ROWS_AT_ONCE)
        with closing(ClickHouse(self._settings)) as warehouse:
            for number in range(slices):
                chosen = {"of": slices * part.of, "number": number * part.of + part.number}
                rows = warehouse.query(_EVENTS, chosen)
                yield from (one for row in rows if (one := _logged(row)).position <= self._last(one.partition))
                passed(len(rows))

    def _last(self, partition: int) -> int:
        mark = self.upto.get(partition)
        return -1 if mark is None else mark.position


def _logged(row: Sequence[Any]) -> Logged:
    partition, position, tenant, relationship, program, source, id_, type_, time, recorded, payload = row
    key = partition_key(tenant, relationship)
    event = {
        "specversion": "1.0",
        "source": source,
        "id": id_,
        "type": type_,
        "time": _rfc3339(time),
        "recordedtime": _rfc3339(recorded),
        "tenant": tenant,
        "subject": relationship,
        "program": program,
        "partitionkey": key,
        "data": json.loads(payload),
    }
    return Logged(key, partition, position, json.dumps(event).encode())


def _rfc3339(moment: datetime) -> str:
    """clickhouse-connect gives naive datetimes where the column's zone is UTC."""
    return to_rfc3339(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
