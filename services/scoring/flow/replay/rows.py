"""Rows as columns of `mentoring.score_history`, as the sink writes them from the events that tell them."""

import hashlib
from collections.abc import Iterable
from typing import Any

from services.scoring.domain.bounds import millionths
from services.scoring.domain.partition import Emission
from services.scoring.domain.row import HistoryRow, PrecedingRow
from services.scoring.domain.serialization import MODEL, SOURCE, UNCALIBRATED, event_id, told_columns

MODE = "replay"
NEVER = 0
"""How columns of instants say "none"."""


def columns(emissions: Iterable[tuple[int, Emission]]) -> dict[str, list[Any]]:
    """Of rows with the partitions that they belong to. A replayed row has no trigger, and no place on the topic."""
    found: dict[str, list[Any]] = {}
    for partition, emission in emissions:
        assert emission.row is not None, "a replay tells rows that are, and none that were"
        values = _place(partition, emission) | _score(emission.row) | _before(emission.row.before)
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return found


def _place(partition: int, emission: Emission) -> dict[str, Any]:
    tenant, relationship = emission.relationship.split("/", 1)
    return {
        "tenant_id": tenant,
        "program_id": emission.program,
        "relationship_id": relationship,
        "as_of": emission.as_of,
        "event_id": _uuid(tenant, event_id(emission, MODE)),
        "kind": "changed",
        "mode": MODE,
        "recorded_at": emission.as_of,
        "position": emission.position,
        "version": 2 * emission.position,
        "is_deleted": 0,
        "log_partition": partition,
        "log_offset": 0,
    }


def _uuid(tenant: str, identity: str) -> int:
    """The warehouse's number for an event."""
    return int.from_bytes(hashlib.blake2b(f"{tenant}\0{SOURCE}\0{identity}".encode(), digest_size=16).digest(), "big")


def _score(row: HistoryRow) -> dict[str, Any]:
    evaluation = row.evaluation
    names, values, weights, contributions, deltas = told_columns(row)
    return {
        "causes": row.causes,
        "health": evaluation.health,
        "band": evaluation.band,
        "caps": evaluation.caps,
        "risk": evaluation.risk,
        "factors": dict(zip(names, contributions, strict=True)),
        "deltas": dict(zip(names, deltas, strict=True)),
        "factor_values": dict(zip(names, values, strict=True)),
        "weights": dict(zip(names, map(millionths, weights), strict=True)),
        "risk_terms": dict(evaluation.terms),
        "confidence": evaluation.confidence,
        "trend": row.trend,
        "status": row.status,
        "started": row.started,
        "cadence_days": millionths(row.cadence),
        "last_contact": row.last_contact or NEVER,
        "next_session": row.next_session or NEVER,
        "open_requests": row.open_requests,
        "sources": row.sources,
        "calibrated": row.calibration is not None,
        "profile": row.profile,
        "model": MODEL,
        "calibration": row.calibration or UNCALIBRATED,
    }


def _before(before: PrecedingRow | None) -> dict[str, Any]:
    if before is None:
        return {"before_as_of": NEVER, "before_health": 0, "before_band": "none", "before_risk": 0}
    evaluation = before.evaluation
    return {
        "before_as_of": before.at,
        "before_health": evaluation.health,
        "before_band": evaluation.band,
        "before_risk": evaluation.risk,
    }
