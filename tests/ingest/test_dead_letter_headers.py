"""Parsing the headers of a dead letter, and printing its bytes."""

from datetime import UTC, datetime, timedelta

import pytest

from services.ingest.domain.dead_letters import (
    DeadLetter,
    DeadLetterFilter,
    harmless,
    hindrance,
    is_marker,
    parse_dead_letter,
    preview,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HEADERS = (
    ("reason", b"unresolved"),
    ("path", b"people"),
    ("detail", b"no pair is known"),
    ("tool", b"zoom"),
    ("origin_topic", b"mentoring.raw.zoom"),
    ("origin_key", b"\x00key"),
    ("header.connection", b"zoom_europe"),
    ("header.content-type", b"application/json"),
)


def one(*more: tuple[str, bytes | None]) -> DeadLetter:
    return parse_dead_letter(b"mentoring.raw.zoom/1/42", b"{}", (*HEADERS, *more), NOW)


def test_a_dead_letter_has_its_origin_and_reason() -> None:
    found = one()

    assert (found.key, found.reason, found.tool) == ("mentoring.raw.zoom/1/42", "unresolved", "zoom")
    assert (found.connection, found.detail) == ("zoom_europe", "people: no pair is known")
    assert (found.origin_key, hindrance(found), is_marker(found)) == (b"\x00key", None, False)


def test_it_is_sent_again_with_its_own_headers_and_where_it_lay() -> None:
    again = one(("header.requeued_from", b"older")).again()

    assert again == (
        ("connection", b"zoom_europe"),
        ("content-type", b"application/json"),
        ("requeued_from", b"mentoring.raw.zoom/1/42"),
    )


@pytest.mark.parametrize("name", ["cut_from_bytes", "headers_cut"])
def test_what_was_cut_cannot_be_had_back(name: str) -> None:
    assert "cut" in (hindrance(one((name, b"1"))) or "")


def test_only_what_came_raw_goes_back() -> None:
    of_the_log = parse_dead_letter(b"mentoring.events/0/1", b"", [("origin_topic", b"mentoring.events")], NOW)

    assert hindrance(of_the_log) == "it does not come from a raw topic"


def test_a_marker_is_no_rejection() -> None:
    assert is_marker(parse_dead_letter(b"k", b"", [("requeued", b"2026-06-01T00:00:00Z")], NOW))


def test_a_record_without_anything_is_shown_all_the_same() -> None:
    bare = parse_dead_letter(None, None, [("reason", None)], NOW)

    assert (bare.key, bare.reason, bare.connection, bare.detail, bare.value) == ("", "", "", "", b"")


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (DeadLetterFilter(), True),
        (DeadLetterFilter(reasons=frozenset({"unresolved", "invalid"})), True),
        (DeadLetterFilter(reasons=frozenset({"invalid"})), False),
        (DeadLetterFilter(tools=frozenset({"slack"})), False),
        (DeadLetterFilter(connections=frozenset({"zoom_europe"}), topics=frozenset({"mentoring.raw.zoom"})), True),
        (DeadLetterFilter(topics=frozenset({"mentoring.raw.slack"})), False),
        (DeadLetterFilter(keys=frozenset({"mentoring.raw.zoom/1/42"})), True),
        (DeadLetterFilter(keys=frozenset({"mentoring.raw.zoom/1/43"})), False),
        (DeadLetterFilter(since=NOW), True),
        (DeadLetterFilter(since=NOW + timedelta(seconds=1)), False),
    ],
)
def test_filters_must_all_hold(wanted: DeadLetterFilter, matches: bool) -> None:  # noqa: FBT001 (a table of cases)
    assert wanted.matches(one()) is matches


def test_bytes_can_do_nothing_to_a_terminal() -> None:
    assert harmless("\x1b[31mred\u202e\r\n\u00e9") == "\\x1b[31mred\\u202e\\r\\n\u00e9"
    assert harmless("\ud800") == "\\ud800"
    assert preview(b"\x1b]0;title\x07 \xff", 100) == "\\x1b]0;title\\x07 \\xff"


def test_json_is_shown_over_several_lines_and_long_text_is_cut() -> None:
    assert preview(b'{"a": "\\u001b[2J"}', 100) == '{\n  "a": "\\u001b[2J"\n}'
    assert preview(b"x" * 120, 100) == "x" * 100 + "\n... 20 more characters"
    assert preview(b"", 100) == ""
