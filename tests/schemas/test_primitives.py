from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.primitives import EventId, Instant, SourceUri, from_micros, to_micros, to_rfc3339, to_utc

EVENT_ID: TypeAdapter[str] = TypeAdapter(EventId)
SOURCE: TypeAdapter[str] = TypeAdapter(SourceUri)
INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)
UTC_MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2199, 12, 31, 23, 59, 59, 999_999), timezones=st.just(UTC))  # noqa: DTZ001 (the zone is the strategy's)


@given(UTC_MOMENTS)
def test_an_instant_is_written_as_strftime_would(moment: datetime) -> None:
    assert to_rfc3339(moment) == moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@given(UTC_MOMENTS)
def test_an_instant_survives_text_and_microseconds(moment: datetime) -> None:
    assert INSTANT.validate_json(f'"{to_rfc3339(moment)}"') == moment
    assert from_micros(to_micros(moment)) == moment


@pytest.mark.parametrize("text", ["2026-03-02T11:30:00+02:00", "2026-03-02T09:30:00Z", "2026-03-02T09:30:00.000000z"])
def test_equal_instants_become_equal_text(text: str) -> None:
    instant = INSTANT.validate_json(f'"{text}"')

    assert INSTANT.dump_json(instant) == b'"2026-03-02T09:30:00.000000Z"'


@pytest.mark.parametrize("year", [1970, 2200])
def test_years_in_which_databases_disagree_are_refused(year: int) -> None:
    with pytest.raises(ValidationError, match="1971 to 2199"):
        INSTANT.validate_json(f'"{year}-06-01T00:00:00Z"')


def test_a_moment_of_another_zone_is_turned_to_utc() -> None:
    noon = datetime(2026, 3, 2, 12, tzinfo=timezone(timedelta(hours=2)))

    assert to_utc(noon).utcoffset() == timedelta(0)


@pytest.mark.parametrize("adapter", [EVENT_ID, SOURCE])
@pytest.mark.parametrize("character", ["\0", "\t", "\n", "\x1f", "\x7f", "\x80", "\x9f"])
def test_no_control_character_stands_anywhere_in_an_event_id_or_a_source(
    adapter: TypeAdapter[str], character: str
) -> None:
    for text in (f"{character}a", f"a{character}b", f"a{character}"):
        with pytest.raises(ValidationError, match="pattern"):
            adapter.validate_python(text)


def test_an_event_id_may_be_whatever_a_tool_calls_its_things() -> None:
    for text in ("84512", "a b", "<20260302@mail.acme.example>", "会議-7", "x" * 256):
        assert EVENT_ID.validate_python(text) == text
