"""The warehouse as scoring sees it: a consumer group that stores what is told, and may be behind; and the rows that it
has stored, in the words in which rows are compared."""

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from schemas.primitives import from_micros
from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Reader
from services.runtime.settings import Settings
from services.scoring.domain.bounds import UNSET
from services.scoring.domain.evaluation import PARTS, TERMS
from services.scoring.domain.verification import ComparableRow, in_order

GROUP = "rapport-warehouse"
WITHIN = 120
"""Seconds that the sink may take to store what was told before."""


class SinkBehindError(Exception):
    """The warehouse does not catch up."""


def await_sink(settings: Settings, scores: str, group: str = GROUP) -> None:
    """Returns when all is stored that was told on this topic before the call. Raises SinkBehindError, KafkaError."""
    deadline = time.monotonic() + WITHIN
    with closing(Reader(settings, group)) as reader:
        ends = reader.end_offsets(reader.assign([scores]))
        # While it is told on, one partition may be stored beyond its end of then: that makes up for no other.
        while behind := reader.behind(ends):
            if time.monotonic() > deadline:
                raise SinkBehindError(
                    f"the warehouse is {behind} records behind; is `rapport warehouse serve` running?"
                )
            time.sleep(0.2)


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
    # Of a spoilt row one column may have parts that another lacks: that is a difference to be told, like any other.
    of_parts = (values, weights, factors, deltas)
    names, term_names = in_order(set().union(*of_parts), PARTS), in_order(terms, TERMS)
    values, weights, contributions, deltas = [tuple([part.get(name, UNSET) for name in names]) for part in of_parts]
    return ComparableRow(
        causes=tuple(causes),
        health=health,
        band=band,
        caps=tuple(caps),
        risk=risk,
        names=names,
        values=values,
        weights=weights,
        contributions=contributions,
        deltas=deltas,
        before=None if before[2] == "none" else tuple(before),
        term_names=term_names,
        effects=tuple(terms[name] for name in term_names),
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
