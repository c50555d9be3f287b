"""Maps `mentoring.programs` to the table `programs`: the attributes of a programme."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from schemas.programs import Programme
from services.warehouse.domain.record import Outcome, RecordMetadata, Refused, StoredRow, micros, refusal
from services.warehouse.domain.tables import WarehouseTable

COLUMNS = (
    "tenant_id",
    "program_id",
    "region",
    "time_zone",
    "coordinator",
    "profile",
    "cadence_days",
    "horizon_days",
    "offsets_since",
    "offsets",
    "expected_sources",
    "expected_hours",
    "recorded_at",
    "version",
    "is_deleted",
)
PROGRAMS = WarehouseTable("mentoring.programs", key=("tenant_id", "program_id"), columns=COLUMNS)
# Days of these years are computed in the programme's time zone; days outside of them with the nearest offset.
FIRST_YEAR, LAST_YEAR = 2010, 2045


def program_row(value: bytes, metadata: RecordMetadata) -> Outcome:
    """A tombstone withdraws its programme."""
    if not value:
        return _withdrawn(metadata)
    try:
        one = Programme.model_validate_json(value)
    except ValidationError as invalid:
        return refusal(invalid)
    changes = transitions(one.time_zone)
    newest = one.profiles[-1]
    values = (
        one.tenant,
        one.id,
        one.region,
        one.time_zone,
        one.coordinator or "",
        newest.version,
        newest.cadence_days,
        newest.horizon_days,
        tuple(since for since, _ in changes),
        tuple(offset for _, offset in changes),
        tuple(source.source for source in one.sources),
        tuple(source.interval_hours for source in one.sources),
        micros(one.recordedtime),
        metadata.offset,
        0,
    )
    return (StoredRow(PROGRAMS.name, metadata.offset, 0, values),)


@cache
def transitions(zone: str) -> tuple[tuple[int, int], ...]:
    """Return pairs of (since, UTC offset), both in seconds. ClickHouse cannot take a time zone from a column, so local
    days are computed from these."""
    zone_info = ZoneInfo(zone)
    return tuple(_changes(zone_info))


def _changes(zone_info: ZoneInfo) -> Iterator[tuple[int, int]]:
    """Offsets change at whole minutes and rarely: search day by day, then bisect."""
    at, end = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
    before = _offset(zone_info, at)
    yield int(at.timestamp()), before
    while at < end:
        later = at + timedelta(days=1)
        offset = _offset(zone_info, later)
        if offset != before:
            yield _first(zone_info, at, later), offset
        at, before = later, offset


def _first(zone_info: ZoneInfo, low: datetime, high: datetime) -> int:
    """Return the first second between the two at which the offset is that of `high`."""
    before, after = int(low.timestamp()), int(high.timestamp())
    new = _offset(zone_info, high)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone_info, datetime.fromtimestamp(middle, UTC)) == new:
            after = middle
        else:
            before = middle
    return after


def _offset(zone_info: ZoneInfo, moment: datetime) -> int:
    found = moment.astimezone(zone_info).utcoffset()
    assert found is not None, "a moment of a zone has an offset"
    return round(found.total_seconds())


def _withdrawn(metadata: RecordMetadata) -> Outcome:
    tenant, slash, program = metadata.key.decode(errors="replace").partition("/")
    if not slash or not tenant or not program:
        return Refused("key")
    values = (tenant, program, "", "UTC", "", "", 0.0, 0.0, (), (), (), (), 0, metadata.offset, 1)
    return (StoredRow(PROGRAMS.name, metadata.offset, 0, values),)
