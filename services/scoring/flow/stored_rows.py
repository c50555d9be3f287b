"""The rows of ClickHouse in the words in which rows are compared."""

from collections.abc import Sequence
from typing import Any

from schemas.primitives import from_micros
from services.runtime.clickhouse import ClickHouse
from services.scoring.domain.verification import ComparableRow

# The order of columns is that of _statement. Instants are asked for as the numbers that they are compared as: else each
# would first be made a moment.
_STORED = """
SELECT concat(tenant_id, '/', relationship_id) AS relationship, toUnixTimestamp64Micro(as_of),
       causes, health, band, caps, risk, factors, factor_values, weights, deltas,
       toUnixTimestamp64Micro(before_as_of), before_health, before_band, before_risk,
       risk_terms, confidence, trend, status, toUnixTimestamp64Micro(started), cadence_days,
       toUnixTimestamp64Micro(last_contact), toUnixTimestamp64Micro(next_session),
       open_requests, profile, calibration, sources
FROM mentoring.score_history FINAL
WHERE as_of <= {until:DateTime64(6, 'UTC')} AND concat(tenant_id, '/', relationship_id) IN {names:Array(String)}
"""


def stored_rows(warehouse: ClickHouse, names: Sequence[str], until: int) -> dict[str, dict[int, ComparableRow]]:
    """{relationship: {as_of: statement}} of the rows up to `until`. Raises ClickHouseError."""
    found: dict[str, dict[int, ComparableRow]] = {}
    for name, as_of, *columns in warehouse.query(_STORED, {"until": from_micros(until), "names": list(names)}):
        found.setdefault(name, {})[as_of] = _statement(columns)
    return found


def _statement(columns: Sequence[Any]) -> ComparableRow:
    causes, health, band, caps, risk, factors, values, weights, deltas, *more = columns
    before, terms, (confidence, trend, status, started, cadence) = more[:4], more[4], more[5:10]
    contact, session, requests, profile, calibration, sources = more[10:]
    parts = sorted((name, values[name], weights[name], points, deltas[name]) for name, points in factors.items())
    return ComparableRow(
        causes=tuple(causes),
        health=health,
        band=band,
        caps=tuple(caps),
        risk=risk,
        parts=tuple(parts),
        before=None if before[2] == "none" else tuple(before),
        terms=tuple(sorted(terms.items())),
        confidence=confidence,
        trend=trend,
        status=status,
        started=started,
        cadence=cadence,
        last_contact=contact or None,
        next_session=session or None,
        open_requests=tuple(requests),
        profile=profile,
        calibration=calibration,
        sources=tuple(sources),
    )
