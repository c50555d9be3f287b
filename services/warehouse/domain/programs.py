"""Maps `mentoring.programs` to the table `programs`: the attributes of a programme."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from schemas.programs import Programme
from services.warehouse.domain.record import Outcome, Place, Refused, StoredRow, micros, refusal
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


def program_row(value: bytes, place: Place) -> Outcome:
    """A tombstone withdraws its programme."""
    if not value:
        return _withdrawn(place)
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
        place.offset,
        0,
    )
    return (StoredRow(PROGRAMS.name, place.offset, 0, values),)


@cache
def transitions(zone: str) -> tuple[tuple[int, int], ...]:
    """Return pairs of (since, UTC offset), both in seconds. ClickHouse cannot take a time zone from a column, so local
    days are computed from these."""
    place = ZoneInfo(zone)
    return tuple(_changes(place))


def _changes(place: ZoneInfo) -> Iterator[tuple[int, int]]:
    """Offsets change at whole minutes and rarely: search day by day, then bisect."""
    at, end = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
    before = _offset(place, at)
    yield int(at.timestamp()), before
    while at < end:
        later = at + timedelta(days=1)
        offset = _offset(place, later)
        if offset != before:
            yield _first(place, at, later), offset
        at, before = later, offset


def _first(place: ZoneInfo, low: datetime, high: datetime) -> int:
    """Return the first second between the two at which the offset is that of `high`."""
    before, after = int(low.timestamp()), int(high.timestamp())
    new = _offset(place, high)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(place, datetime.fromtimestamp(middle, UTC)) == new:
            after = middle
        else:
            before = middle
    return after


def _offset(place: ZoneInfo, moment: datetime) -> int:
    found = moment.astimezone(place).utcoffset()
    assert found is not None, "a moment of a zone has an offset"
    return round(found.total_seconds())


def _withdrawn(place: Place) -> Outcome:
    tenant, slash, program = place.key.decode(errors="replace").partition("/")
    if not slash or not tenant or not program:
        return Refused("key")
    values = (tenant, program, "", "UTC", "", "", 0.0, 0.0, (), (), (), (), 0, place.offset, 1)
    return (StoredRow(PROGRAMS.name, place.offset, 0, values),)
