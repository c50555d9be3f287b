from zoneinfo import ZoneInfo

import pytest

from services.ingest.importing.cell_formats import CellFormats, InvalidCellError, day, instant

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2026-03-31 16:30", "2026-03-31T14:30:00.000000Z"),
        ("2026-03-31T16:30", "2026-03-31T14:30:00.000000Z"),
        ("2026-03-31t16:30:05,25", "2026-03-31T14:30:05.250000Z"),
        ("2026-03-31T16:30:00.123456789", "2026-03-31T14:30:00.123456Z"),
        ("2026-01-31 16:30", "2026-01-31T15:30:00.000000Z"),
        ("2026-03-31", "2026-03-30T22:00:00.000000Z"),
        ("2026-03-31T16:30Z", "2026-03-31T16:30:00.000000Z"),
        ("2026-03-31 16:30 +05:30", "2026-03-31T11:00:00.000000Z"),
        ("2026-03-31 16:30:00-0800", "2026-04-01T00:30:00.000000Z"),
        ("2026-03-31 16:30:00+00", "2026-03-31T16:30:00.000000Z"),
        ("2026-03-31 16:30:00.123+01", "2026-03-31T15:30:00.123000Z"),
        ("2026-03-31T16:30-08", "2026-04-01T00:30:00.000000Z"),
        ("2026-03-31t16:30z", "2026-03-31T16:30:00.000000Z"),
        ("2026-03-31 16:30:00 UTC", "2026-03-31T16:30:00.000000Z"),
        ("2026-03-31 16:30 GMT", "2026-03-31T16:30:00.000000Z"),
    ],
)
def test_a_time_without_offset_is_read_in_its_zone(written: str, utc: str) -> None:
    assert instant(written, BERLIN) == utc


def test_an_offset_wins_over_the_zone_and_needs_none() -> None:
    assert instant("2026-03-31T16:30:00+00:00", None) == instant("2026-03-31T16:30:00+00:00", BERLIN)


@pytest.mark.parametrize(
    ("written", "zone", "words"),
    [
        ("2026-03-31 16:30", None, "has no time zone"),
        ("2026-03-29 02:30", BERLIN, "does not exist in Europe/Berlin"),
        ("2026-10-25 02:30", BERLIN, "happens twice in Europe/Berlin"),
        ("31.03.2026 16:30", BERLIN, "is no time"),
        ("03/04/2026", BERLIN, "is no time"),
        ("2026-02-30", BERLIN, "is no time: day is out of range"),
        ("2026-03-31 24:30", BERLIN, "is no time"),
        ("2026-W14-2", BERLIN, "is no time"),
        ("20260331", BERLIN, "is no time"),
        ("9999-12-31T23:59:59-14:00", BERLIN, "must lie in the years"),
        ("0001-01-01", BERLIN, "must lie in the years"),
        ("2026-03-31T16:30:00+99:99", BERLIN, "is no time"),
        ("٢٠٢٦-03-31", BERLIN, "is no time"),
        ("yesterday", BERLIN, "is no time"),
    ],
)
def test_what_is_not_certain_is_no_time(written: str, zone: ZoneInfo | None, words: str) -> None:
    with pytest.raises(InvalidCellError, match=words):
        instant(written, zone)


def test_a_time_that_happens_twice_is_certain_with_its_offset() -> None:
    assert instant("2026-10-25 02:30+01:00", BERLIN) == "2026-10-25T01:30:00.000000Z"


def test_a_day_is_written_in_one_way() -> None:
    assert day("2026-03-31") == day("2026-03-31Z") == day("2026-03-31-08:00") == "2026-03-31"
    for text in ("2026-02-30", "20260331", "31.03.2026", "2026-W14-2", "2026-3-31"):
        with pytest.raises(InvalidCellError, match="is no day"):
            day(text)


LOS_ANGELES = ZoneInfo("America/Los_Angeles")


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("2026-03-01 03:30-08:00", LOS_ANGELES),
        ("3/1/2026 3:30-08:00", LOS_ANGELES),
        ("2026-03-01 03:30:00-08:00", None),
        ("2026-03-01T03:30-08:00", None),
        ("2026-03-01 03:30 -08:00", None),
    ],
)
def test_an_offset_is_one_where_a_range_would_begin_at_the_same_instant(written: str, zone: ZoneInfo | None) -> None:
    assert CellFormats("mm/dd/yyyy").timestamp(written, zone) == "2026-03-01T11:30:00.000000Z"


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("2026-03-01 03:30-08:00", None),
        ("2026-03-01 03:30-08:00", BERLIN),
        ("2026-07-01 03:30-08:00", LOS_ANGELES),
        # Over midnight.
        ("2026-03-01 22:30-01:00", BERLIN),
        ("2026-03-01 23:00-00:15", None),
    ],
)
def test_what_may_be_a_range_or_an_offset_is_not_guessed(written: str, zone: ZoneInfo | None) -> None:
    with pytest.raises(InvalidCellError, match="may be a range"):
        CellFormats().timestamp(written, zone)


def test_an_offset_at_which_no_meeting_would_end_is_one() -> None:
    assert CellFormats().timestamp("2026-03-31 16:30-08:00", None) == "2026-04-01T00:30:00.000000Z"
