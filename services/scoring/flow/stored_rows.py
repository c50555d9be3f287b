"""The rows of ClickHouse in the words in which rows are compared."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from schemas.primitives import from_micros, to_micros
from services.runtime.clickhouse import ClickHouse
from services.scoring.domain.verification import ComparableRow

# The order of columns is that of _statement.
_STORED = """
SELECT concat(tenant_id, '/', relationship_id) AS relationship, as_of, causes, health, band, caps, risk,
       factors, factor_values, weights, deltas, before_as_of, before_health, before_band, before_risk,
       risk_terms, confidence, trend, status, started, cadence_days, last_contact, next_session,
       open_requests, profile, calibration, sources
FROM mentoring.score_history FINAL
WHERE as_of <= {until:DateTime64(6, 'UTC')} AND concat(tenant_id, '/', relationship_id) IN {names:Array(String)}
"""


def stored_rows(warehouse: ClickHouse, names: Sequence[str], until: int) -> dict[str, dict[int, ComparableRow]]:
    """{relationship: {as_of: statement}} of the rows up to `until`. Raises ClickHouseError."""
    found: dict[str, dict[int, ComparableRow]] = {}
    for name, as_of, *columns in warehouse.query(_STORED, {"until": from_micros(until), "names": list(names)}):
        found.setdefault(name, {})[_micros(as_of)] = _statement(columns)
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
        before=None if before[2] == "none" else (_micros(before[0]), before[1], before[2], before[3]),
        terms=tuple(sorted(terms.items())),
        confidence=confidence,
        trend=trend,
        status=status,
        started=_micros(started),
        cadence=cadence,
        last_contact=_micros(contact) or None,
        next_session=_micros(session) or None,
        open_requests=tuple(requests),
        profile=profile,
        calibration=calibration,
        sources=tuple(sources),
    )


def _micros(moment: datetime) -> int:
    """clickhouse-connect gives naive datetimes where the column's zone is UTC."""
    return to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
