"""Hours of people: quiet hours, days off, both edges of summer time, zones of half an hour."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.working_hours import DeliveryWindow, ReceivingHours, WorkCalendar

BERLIN, KOLKATA, CHATHAM = "Europe/Berlin", "Asia/Kolkata", "Pacific/Chatham"
ZONES = (
    BERLIN,
    KOLKATA,
    CHATHAM,
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "UTC",
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def of(zone: str, *holidays: str, quiet: str = "18:00-08:00", digest: str = "08:30") -> DeliveryWindow:
    begin, end = map(time.fromisoformat, quiet.split("-"))
    calendar = WorkCalendar(zone, frozenset(map(date.fromisoformat, holidays)))
    return DeliveryWindow(ReceivingHours(begin, end, time.fromisoformat(digest)), calendar)


@pytest.mark.parametrize(
    ("zone", "moment", "digest", "why"),
    [
        ("UTC", "2024-05-02T08:30", "2024-05-02T08:30", "that very minute"),
        ("UTC", "2024-05-02T08:30:01", "2024-05-03T08:30", "it has passed"),
        ("UTC", "2024-05-03T09:00", "2024-05-06T08:30", "a weekend lies between"),
        (BERLIN, "2024-03-29T12:00", "2024-04-01T06:30", "summer time begins on that Sunday: 08:30 is 06:30 UTC"),
        (BERLIN, "2024-10-25T12:00", "2024-10-28T07:30", "summer time ends on that Sunday: 08:30 is 07:30 UTC"),
        (KOLKATA, "2024-05-02T03:30", "2024-05-03T03:00", "half an hour beside the others"),
        (CHATHAM, "2024-07-01T12:00", "2024-07-01T19:45", "three quarters of an hour, and a day ahead"),
    ],
)
def test_the_digest_comes_at_its_local_hour_on_a_working_day(zone: str, moment: str, digest: str, why: str) -> None:
    assert of(zone).next_digest(utc(moment)) == utc(digest), why


@pytest.mark.parametrize(
    ("zone", "moment", "opens", "why"),
    [
        (BERLIN, "2024-05-02T10:00", "2024-05-02T10:00", "people work"),
        (BERLIN, "2024-05-02T17:00", "2024-05-03T06:00", "in the evening"),
        (BERLIN, "2024-05-02T05:59", "2024-05-02T06:00", "early in the morning"),
        (BERLIN, "2024-05-03T16:00", "2024-05-06T06:00", "on Friday evening"),
        (BERLIN, "2024-03-30T01:30", "2024-04-01T06:00", "an hour of the weekend is left out"),
        (BERLIN, "2024-10-27T00:30", "2024-10-28T07:00", "an hour of the weekend comes twice"),
        (KOLKATA, "2024-05-02T02:29", "2024-05-02T02:30", "half an hour beside the others"),
    ],
)
def test_nobody_is_written_to_before_they_work(zone: str, moment: str, opens: str, why: str) -> None:
    assert of(zone).open_from(utc(moment)) == utc(opens), why


def test_an_hour_that_the_clocks_leave_out_comes_as_much_later() -> None:
    """02:30 did not exist in New York on 10 March 2024."""
    calendar = WorkCalendar("America/New_York")

    assert calendar.instant_of(date(2024, 3, 10), time(2, 30)) == utc("2024-03-10T07:30")
    assert calendar.local(utc("2024-03-10T07:30")).time() == time(3, 30)


def test_an_hour_that_comes_twice_is_its_first() -> None:
    assert WorkCalendar(BERLIN).instant_of(date(2024, 10, 27), time(2, 30)) == utc("2024-10-27T00:30")


def test_holidays_are_days_off() -> None:
    found = of(BERLIN, "2024-05-01", "2024-05-02", "2024-05-03")

    assert found.is_quiet(utc("2024-05-02T10:00"))
    assert found.open_from(utc("2024-04-30T18:00")) == utc("2024-05-06T06:00")
    assert found.next_digest(utc("2024-04-30T18:00")) == utc("2024-05-06T06:30")
    assert found.words(utc("2024-05-06T06:30")) == "Mon 6 May 08:30 Europe/Berlin"


def test_working_days_leave_out_the_weekend_and_holidays_of_the_programme() -> None:
    friday = utc("2024-05-03T10:00")

    assert WorkCalendar().working_days_later(friday, 3) == friday + timedelta(days=5)
    assert WorkCalendar().working_days_later(friday - timedelta(days=4), 3) == friday - timedelta(days=1)
    with_holiday = WorkCalendar("UTC", frozenset({date(2024, 5, 6)}))
    assert with_holiday.working_days_later(friday, 3) == friday + timedelta(days=6)


def test_working_days_keep_the_local_hour_over_the_change_to_summer_time() -> None:
    assert WorkCalendar(BERLIN).working_days_later(utc("2024-03-28T09:00"), 2) == utc("2024-04-01T08:00")


def test_without_quiet_hours_only_days_off_are_quiet() -> None:
    found = of("UTC", quiet="00:00-00:00")

    assert not found.is_quiet(utc("2024-05-02T03:00"))
    assert found.open_from(utc("2024-05-04T03:00")) == utc("2024-05-06T00:00")


@given(
    zone=st.sampled_from(ZONES),
    minutes=st.integers(0, 60 * 24 * 400),
    quiet=st.tuples(st.integers(0, 47), st.integers(0, 47)),
    holidays=st.sets(st.integers(0, 420), max_size=40),
)
def test_what_waits_is_sent_soon_and_never_in_quiet_hours(
    zone: str, minutes: int, quiet: tuple[int, int], holidays: set[int]
) -> None:
    begin, end = (time(half // 2, 30 * (half % 2)) for half in quiet)
    first = date(2024, 1, 1)
    calendar = WorkCalendar(zone, frozenset(first + timedelta(days=one) for one in holidays))
    found = DeliveryWindow(ReceivingHours(begin, end, end), calendar)
    moment = utc("2024-01-01T00:00") + timedelta(minutes=minutes)

    opens = found.open_from(moment)

    assert opens >= moment
    assert not found.is_quiet(opens)
    assert opens - moment <= timedelta(days=3 + 41)
    assert found.is_quiet(moment) == (opens > moment)
