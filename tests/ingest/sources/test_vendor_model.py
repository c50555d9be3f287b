from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import AwareDatetime, BeforeValidator

from services.ingest.domain.verdict import Problem, Rejected
from services.ingest.sources.tool import signed_at
from services.ingest.sources.vendor_model import (
    EpochMilliseconds,
    Ident,
    Local,
    MaybeIdent,
    MaybeTime,
    VendorModel,
    Zoned,
    ZonedOrUtc,
    epoch,
    in_zone,
    read,
    within,
)


class Part(VendorModel):
    zoned: Zoned | None = None
    or_utc: ZonedOrUtc | None = None
    maybe: MaybeTime = None
    local: Local | None = None
    seconds: Annotated[datetime, BeforeValidator(epoch)] | None = None
    milliseconds: EpochMilliseconds | None = None
    ident: Ident = "x"
    maybe_ident: MaybeIdent = ""
    parts: tuple["Part", ...] = ()


def part(**members: object) -> Any:  # noqa: ANN401 (each test knows the member)
    found = read(Part, members)
    assert isinstance(found, Part), found
    return found


def faults(value: object) -> list[str]:
    found = read(Part, value)
    assert isinstance(found, Rejected), found
    assert found.reason == "invalid"
    return [error.path for error in found.errors]


def test_what_is_not_needed_is_not_looked_at() -> None:
    assert read(Part, {"nobody": {"needs": "it"}, "ident": "a"}) == Part(ident="a")


def test_a_fault_is_named_by_its_path_and_all_of_them_are() -> None:
    assert faults({"parts": [{}, {"ident": None, "parts": [{"seconds": "soon"}]}]}) == [
        "parts.1.ident",
        "parts.1.parts.0.seconds",
    ]


@pytest.mark.parametrize("value", [None, 1, "text", [], float("nan")])
def test_what_is_no_object_is_refused(value: object) -> None:
    assert faults(value) == [""]


def test_an_id_is_text_or_a_whole_number() -> None:
    assert part(ident=93_200_000_000).ident == part(ident="93200000000").ident == "93200000000"
    assert [faults({"ident": odd}) for odd in (True, 1.5, "", None, "x" * 257, 10**5000)] == [["ident"]] * 6


def test_an_id_that_may_be_missing_may_also_be_null_or_empty() -> None:
    assert part(maybe_ident=None).maybe_ident == part(maybe_ident="").maybe_ident == part().maybe_ident == ""
    assert faults({"maybe_ident": {}}) == ["maybe_ident"]


def test_a_time_with_a_zone_is_kept_in_utc_to_the_microsecond() -> None:
    assert part(zoned="2026-03-01T10:00:00.1234567+02:00").zoned == datetime(2026, 3, 1, 8, 0, 0, 123456, UTC)
    assert part(zoned="2026-03-01 10:00:00+00").zoned == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert part(zoned="2026-03-01T10:00:00.123-08").zoned == datetime(2026, 3, 1, 18, 0, 0, 123000, UTC)
    assert faults({"zoned": "2026-03-01T10:00:00"}) == ["zoned"]


def test_a_time_without_a_zone_is_utc_only_where_the_tool_says_so() -> None:
    assert part(or_utc="2026-03-01T10:00:00").or_utc == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert part(maybe="").maybe is part(maybe=None).maybe is None
    assert part(local="2026-03-01T10:00:00.0000000").local == datetime(2026, 3, 1, 10)  # noqa: DTZ001
    assert faults({"local": "2026-03-01T10:00:00Z"}) == ["local"]


@pytest.mark.parametrize(
    "odd",
    ["1e5", 1e5, "1735689600", "2026-03-01", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "x" * 10**6],
)
def test_what_is_no_date_and_time_within_the_years_that_we_know_is_refused(odd: object) -> None:
    assert faults({"zoned": odd}) == ["zoned"]
    assert faults({"or_utc": odd}) == ["or_utc"]


def test_seconds_and_milliseconds_are_read_exactly_from_numbers_and_text() -> None:
    assert part(seconds="1355517523.000005").seconds == datetime(2012, 12, 14, 20, 38, 43, 5, UTC)
    assert part(seconds=1355517523).seconds == part(milliseconds="1355517523000").milliseconds


@pytest.mark.parametrize(
    "odd",
    [
        -1,
        0,
        10**300,
        1e300,
        float("nan"),
        float("inf"),
        "1e9",
        "0x1",
        "1_0",
        "9" * 70,
        True,
        {},
        "\uff11\uff17",
    ],
)
def test_what_is_no_time_since_1970_is_refused(odd: object) -> None:
    assert faults({"seconds": odd, "milliseconds": odd}) == ["seconds", "milliseconds"]


def test_the_timestamp_of_a_signature_is_whole_seconds() -> None:
    assert signed_at("1735689600") == datetime(2025, 1, 1, tzinfo=UTC)
    assert [signed_at(odd) for odd in ("", "1735689600.5", "-1", " 1735689600", "²", "9" * 5000, "0")] == [None] * 7


def test_a_wall_clock_is_read_in_its_zone_and_an_hour_that_comes_twice_is_the_first() -> None:
    berlin = ZoneInfo("Europe/Berlin")

    assert in_zone(datetime(2026, 7, 1, 10), berlin) == datetime(2026, 7, 1, 8, tzinfo=UTC)  # noqa: DTZ001
    assert in_zone(datetime(2026, 10, 25, 2, 30), berlin) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # noqa: DTZ001
    with pytest.raises(ValueError, match="1971"):
        in_zone(datetime(1900, 1, 1), berlin)  # noqa: DTZ001


def test_a_fault_has_a_readable_reason() -> None:
    assert read(Part, {"seconds": "soon"}) == Rejected(
        "invalid", (Problem("seconds", "must be a number of seconds or milliseconds since 1970"),)
    )
    assert read(Part, [1]) == Rejected("invalid", (Problem("", "must be an object"),))


def test_a_fault_in_a_part_is_named_as_seen_from_the_whole() -> None:
    fault = Rejected("invalid", (Problem("seconds", "is required"), Problem("", "must be an object")))

    assert [error.path for error in within("parts.3", fault).errors] == ["parts.3.seconds", "parts.3"]


def test_the_reason_of_a_fault_names_no_type_of_python() -> None:
    class Listed(VendorModel):
        entries: tuple[str, ...]
        is_open: bool
        at: AwareDatetime

    found = read(Listed, {"entries": "none", "is_open": "perhaps", "at": "2026-12-01T10:00:00"})

    assert isinstance(found, Rejected)
    assert [(one.path, one.reason) for one in found.errors] == [
        ("entries", "must be a list"),
        ("is_open", "must be true or false"),
        ("at", "must have an offset, such as Z or +01:00"),
    ]
