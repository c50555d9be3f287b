import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.cloudevents import Parsed, read_record
from services.ingest.domain.verdict import Rejected

STRUCTURED = b"application/cloudevents+json"
DATA = b'{"minutes": 30}'
NAMES = st.sampled_from(["content-type", "Content-Type", "ce_id", "ce_", "ce_data", "other"]) | st.text(max_size=8)
VALUES = st.none() | st.binary(max_size=20) | st.sampled_from([b"application/json", STRUCTURED, b"text/json; charset"])


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5), st.none() | st.binary(max_size=40))
def test_any_record_is_read_or_rejected_with_a_reason(
    headers: list[tuple[str, bytes | None]], value: bytes | None
) -> None:
    result = read_record(headers, value)

    assert isinstance(result, Parsed) or result.errors[0].reason


def test_header_names_are_accepted_in_any_case() -> None:
    headers = [("Content-Type", b"application/json"), ("CE_id", "ü 1".encode()), ("trace", b"\xff")]

    assert read_record(headers, DATA) == Parsed(
        {"id": "ü 1", "datacontenttype": "application/json", "data": {"minutes": 30}}
    )


def test_without_a_content_type_data_are_json_and_an_event_is_structured() -> None:
    assert read_record([("ce_id", b"1")], DATA) == Parsed({"id": "1", "data": {"minutes": 30}})
    assert read_record([], b'{"id": "1"}') == Parsed({"id": "1"})


def test_plain_json_without_attributes_in_headers_is_structured() -> None:
    assert read_record([("content-type", b"application/json")], b'{"id": "1"}') == Parsed({"id": "1"})


def test_structured_mode_heeds_no_attributes_in_headers() -> None:
    headers = [("content-type", b"Application/CloudEvents+JSON; charset=UTF-8"), ("ce_id", b"2"), ("ce_Id!", b"3")]

    assert read_record(headers, b'{"id": "1"}') == Parsed({"id": "1"})


def test_a_header_without_a_value_is_ignored() -> None:
    assert read_record([("ce_id", b"1"), ("ce_dataschema", None), ("content-type", None)], b"1") == Parsed(
        {"id": "1", "data": 1}
    )


@pytest.mark.parametrize(
    ("headers", "value", "path", "words"),
    [
        ([("ce_id", b"1")], None, "", "tombstone"),
        ([("content-type", STRUCTURED)], None, "", "tombstone"),
        ([("ce_id", b"1")], b"", "data", "is not valid JSON"),
        ([("ce_id", b"1"), ("CE_ID", b"1")], DATA, "ce_id", "is there twice"),
        ([("ce_id", b"\xff")], DATA, "ce_id", "is not UTF-8"),
        ([("ce_", b"1")], DATA, "ce_", "is no attribute"),
        ([("ce_data", b"1")], DATA, "ce_data", "is no attribute"),
        ([("ce_data_base64", b"1")], DATA, "ce_data_base64", "is no attribute"),
        ([("ce_Data_Base64", b"1")], DATA, "ce_data_base64", "is no attribute"),
        ([("ce_datacontenttype", b"text/json")], DATA, "ce_datacontenttype", "is no attribute"),
        ([("content-type", b"\xff")], DATA, "content-type", "is not UTF-8"),
        ([("content-type", STRUCTURED), ("Content-Type", STRUCTURED)], DATA, "content-type", "is there twice"),
    ],
)
def test_what_cannot_be_read_is_rejected_where_it_breaks(
    headers: list[tuple[str, bytes | None]], value: bytes | None, path: str, words: str
) -> None:
    refused = read_record(headers, value)

    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.errors[0].path) == ("malformed", path)
    assert words in refused.errors[0].reason


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+avro",
        "application/cloudevents-batch+json",
        "application/cloudevents+json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/avro",
        "text/plain",
        "json",
        "",
    ],
)
def test_an_unsupported_content_type_is_rejected_and_reported(content_type: str) -> None:
    refused = read_record([("content-type", content_type.encode()), ("ce_id", b"1")], DATA)

    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.errors[0].path) == ("malformed", "content-type")
    assert repr(content_type) in refused.errors[0].reason
