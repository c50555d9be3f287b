"""The warehouse as seen by scoring: a consumer group that stores score events and may lag; and the rows that it has
stored, in comparable form."""

import time
from collections.abc import Sequence
from contextlib import closing
from struct import pack
from typing import Any

from schemas.primitives import from_micros
from services.runtime.clickhouse import ClickHouse
from services.runtime.kafka import Reader
from services.runtime.settings import Settings
from services.scoring.domain.bounds import UNSET
from services.scoring.domain.evaluation import PARTS, TERMS
from services.scoring.domain.verification import ComparableRow, RowsDigest, digest_of

GROUP = "rapport-warehouse"
CATCH_UP_SECONDS = 120
"""Time allowed for the sink to store what was emitted before."""


class SinkBehindError(Exception):
    """The warehouse does not catch up."""


def await_sink(settings: Settings, scores: str, group: str = GROUP) -> None:
    """Return when everything emitted on this topic before the call is stored. Raises SinkBehindError, KafkaError."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    with closing(Reader(settings, group)) as reader:
        ends = reader.end_offsets(reader.assign([scores]))
        # While scoring continues, one partition may be stored beyond its end of then: that does not make up for
        # another.
        while behind := reader.group_lag(ends):
            if time.monotonic() > deadline:
                raise SinkBehindError(
                    f"the warehouse is {behind} records behind; is `rapport warehouse serve` running?"
                )
            time.sleep(0.2)


# The compared content of a row. In a corrupt row a column may lack a part that another has: {nothing} stands for the
# missing number, a difference like any other.
_NAMED_PARTS = """
WITH arraySort(name -> (if(has({parts:Array(String)}, name), indexOf({parts:Array(String)}, name), 1000), name),
               arrayDistinct(arrayMap(name -> toString(name), arrayConcat(
                   mapKeys(factors), mapKeys(factor_values), mapKeys(weights), mapKeys(deltas))))) AS names,
     arraySort(name -> (if(has({terms:Array(String)}, name), indexOf({terms:Array(String)}, name), 1000), name),
               arrayMap(name -> toString(name), mapKeys(risk_terms))) AS term_names,
     before_band = 'none' AS is_first,
     toInt64({nothing:String}) AS nothing,
     arrayMap(name -> if(mapContains(factor_values, name), toInt64(factor_values[name]), nothing), names) AS of_values,
     arrayMap(name -> if(mapContains(weights, name), toInt64(weights[name]), nothing), names) AS of_weights,
     arrayMap(name -> if(mapContains(factors, name), toInt64(factors[name]), nothing), names) AS of_factors,
     arrayMap(name -> if(mapContains(deltas, name), toInt64(deltas[name]), nothing), names) AS of_deltas,
     arrayMap(name -> toInt64(risk_terms[name]), term_names) AS effects
SELECT concat(tenant_id, '/', relationship_id) AS relationship,
"""
_FROM = """
FROM mentoring.score_history FINAL
WHERE as_of <= {until:DateTime64(6, 'UTC')} AND concat(tenant_id, '/', relationship_id) IN {names:Array(String)}
ORDER BY relationship, as_of
"""
# After the instant, in the order of ComparableRow. Instants are selected as the integers in which they are compared:
# otherwise each would be converted to a datetime first.
_ROW_QUERY = f"""{_NAMED_PARTS}
       toUnixTimestamp64Micro(as_of), causes, health, band, caps, risk,
       names, of_values, of_weights, of_factors, of_deltas,
       (toUnixTimestamp64Micro(before_as_of), before_health, toString(before_band), before_risk),
       term_names, effects, confidence, trend, status, toUnixTimestamp64Micro(started), cadence_days,
       toUnixTimestamp64Micro(last_contact), toUnixTimestamp64Micro(next_session),
       open_requests, profile, calibration, sources
{_FROM}"""
# The words and the numbers of verification.digest_of for each row: a comparison needs nothing else of matching rows.
_DIGEST_QUERY = f"""{_NAMED_PARTS}
       arrayStringConcat(arrayMap(word -> concat(toString(length(word)), ':', word), arrayConcat(
           [toString(length(causes))], CAST(causes, 'Array(String)'), [toString(band)],
           [toString(length(caps))], CAST(caps, 'Array(String)'), [toString(length(names))], names,
           [if(is_first, '', toString(before_band)), toString(length(term_names))], term_names,
           [toString(status), toString(length(open_requests))], CAST(open_requests, 'Array(String)'),
           [toString(profile), toString(calibration), toString(length(sources))], CAST(sources, 'Array(String)')))),
       arrayConcat(
           arrayMap(number -> toInt64(number), [toUnixTimestamp64Micro(as_of), health, risk, confidence, trend,
               toUnixTimestamp64Micro(started), cadence_days]),
           arrayMap(at -> if(at = 0, nothing, at),
               [toUnixTimestamp64Micro(last_contact), toUnixTimestamp64Micro(next_session)]),
           arrayMap(number -> if(is_first, nothing, toInt64(number)),
               [toUnixTimestamp64Micro(before_as_of), before_health, before_risk]),
           of_values, of_weights, of_factors, of_deltas, effects)
{_FROM}"""


def stored_digests(warehouse: ClickHouse, names: Sequence[str], until: int) -> dict[str, RowsDigest]:
    """For each relationship that has rows up to `until`. Raises ClickHouseError."""
    found: dict[str, tuple[list[bytes], list[bytes]]] = {}
    for name, words, numbers in warehouse.query(_DIGEST_QUERY, _parameters(names, until)):
        texts, packed = found.setdefault(name, ([], []))
        texts.append(words.encode())
        packed.append(pack(f"<{len(numbers)}q", *numbers))
    return {name: digest_of(name, texts, b"".join(packed)) for name, (texts, packed) in found.items()}


def stored_rows(warehouse: ClickHouse, names: Sequence[str], until: int) -> dict[str, dict[int, ComparableRow]]:
    """{relationship: {as_of: comparable row}} of the rows up to `until`. Raises ClickHouseError."""
    found: dict[str, dict[int, ComparableRow]] = {}
    for name, as_of, *columns in warehouse.query(_ROW_QUERY, _parameters(names, until)):
        row = ComparableRow._make(tuple(column) if isinstance(column, list) else column for column in columns)
        contact, session = row.last_contact or None, row.next_session or None
        before = None if row.before is None or row.before[2] == "none" else row.before
        found.setdefault(name, {})[as_of] = row._replace(before=before, last_contact=contact, next_session=session)
    return found


def _parameters(names: Sequence[str], until: int) -> dict[str, Any]:
    of_rows = {"parts": list(PARTS), "terms": list(TERMS), "nothing": str(UNSET)}
    return {"until": from_micros(until), "names": list(names), **of_rows}
