"""What a tool said long ago, found in the warehouse."""

import json
from typing import Any

from pydantic import ValidationError

from schemas.events import MENTORING_EVENT, partition_key
from schemas.primitives import from_micros, to_rfc3339
from services.ingest.domain.tools.spoken import Spoken, spoken_of
from services.runtime import log
from services.runtime.clickhouse import ClickHouse, ClickHouseError

# The table is ordered by tenant first. One statement becomes an event per relationship; nobody is in a thousand.
_SQL = """
SELECT source, id, type, toUnixTimestamp64Micro(occurred_at), relationship_id, program_id, payload
FROM mentoring.events
WHERE tenant_id = {tenant:String} AND source = {source:String} AND startsWith(id, {statement:String})
ORDER BY position
LIMIT 1000
"""


class StoredStatements:
    """For one thread. Whoever may not ask now is told nothing and may ask again: what is unresolved can be requeued,
    whereas waiting for the warehouse would keep everything else of the tool from the log."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def find(self, tenant: str, source: str, statement: str) -> tuple[Spoken, ...]:
        asked = {"tenant": tenant, "source": source, "statement": f"{statement}."}
        try:
            rows = self._clickhouse.query(_SQL, asked)
        except ClickHouseError as away:
            log.get(__name__).warning("warehouse_not_asked", source=source, error=str(away)[:500])
            return ()
        return tuple(dict.fromkeys(spoken for row in rows if (spoken := _spoken(tenant, row))))


def _spoken(tenant: str, row: tuple[Any, ...]) -> Spoken | None:
    """None for what the schemas of today do not know; nothing else writes that table."""
    source, event_id, kind, occurred_at, relationship, program, payload = row
    time = to_rfc3339(from_micros(occurred_at))
    envelope = {"source": source, "id": event_id, "type": kind, "time": time, "recordedtime": time, "tenant": tenant}
    whole = envelope | {
        "subject": relationship,
        "program": program,
        "partitionkey": partition_key(tenant, relationship),
        "data": json.loads(payload),
    }
    try:
        event = MENTORING_EVENT.validate_json(json.dumps(whole))
    except ValidationError:
        return None
    return None if event.type == "mentoring.clock.reached.v1" else spoken_of(event)
