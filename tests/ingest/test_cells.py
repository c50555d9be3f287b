"""Placeholders, formulas and damaged text in cells of tables and members of feeds."""

import pytest

from services.ingest.domain.tools.allow_list import address_in, mailboxes
from services.ingest.domain.tools.cells import NO_RESULT, NO_VALUE, is_missing_day, plain_name, unwrap_formula


@pytest.mark.parametrize(
    "written",
    [
        *(
            "0000-00-00",
            "00.00.0000 00:00:00",
            "1900-01-00",
            "00.01.1900",
            "0/1/1900",
            "1/0/1900",
            "1/0/00",
            "00-Jan-1900",
        ),
        *("9999-12-31", "9999-12-31T23:59:59.999Z", "9999-12-31 00:00:00 +01", "31.12.9999", "12/31/9999 00:00"),
        *(
            "1899-12-30",
            "1899-12-31T00:00:00",
            "30.12.1899",
            "0001-01-01T00:00:00",
            "1900-01-01",
            "01/01/1900",
            "NULL",
            "-",
        ),
    ],
)
def test_days_at_which_a_calendar_begins_or_ends_are_none(written: str) -> None:
    assert is_missing_day(written)


@pytest.mark.parametrize("written", ["1900-01-02", "2026-01-10", "10.01.1900", "9999-12-30", "01.01.2000", "1/10/00"])
def test_any_other_day_is_one(written: str) -> None:
    assert not is_missing_day(written)


def test_people_may_be_called_null_or_nan() -> None:
    assert NO_VALUE.isdisjoint({"Null", "Nan", "Na", "NA", "None of them", "Nil"})
    assert not NO_RESULT.fullmatch("#1")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Ben\r\n  M", "Ben M"),
        ("\u202aBen\u202c\u00a0M\u0007", "Ben M"),
        ("J\u00fcrgen\u200b", "Jürgen"),
        # Persian and Indian names are spelt with joiners.
        ("نیلو\u200cفر", "نیلو\u200cفر"),
        ("Ben  M", "Ben M"),
    ],
)
def test_a_name_stands_in_one_line(written: str, name: str) -> None:
    assert plain_name(written) == plain_name(name) == name


def test_a_text_formula_is_the_text() -> None:
    assert (unwrap_formula('="00123"'), unwrap_formula("=1+2"), unwrap_formula('"00123"')) == (
        "00123",
        "=1+2",
        '"00123"',
    )


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("mailto:ben%2Bhr@example.com?subject=Hello%20you", "ben+hr@example.com"),
        ("Ben <MAILTO:ben@example.com>", "ben@example.com"),
        ("smtp:ben@example.com", "ben@example.com"),
        ("ben@example.com (private)", "ben@example.com"),
        ("'ben@example.com'", "ben@example.com"),
        ("<'ben@example.com'>", "ben@example.com"),
        ("ben@example.com.", "ben@example.com"),
        ("o'brien@example.com", "o'brien@example.com"),
        ("mailto:ben%20secret@example.com", ""),
        ("ben@example.com (private) secret", ""),
    ],
)
def test_an_address_is_read_from_what_stands_around_it(written: str, address: str) -> None:
    assert address_in(written) == address
    assert address_in(address) == address


def test_strokes_between_addresses_are_no_addresses() -> None:
    assert mailboxes("ada@example.com / ben@example.com & cy/x@example.com") == [
        "ada@example.com",
        "ben@example.com",
        "cy/x@example.com",
    ]
