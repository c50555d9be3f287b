import json
from base64 import b64encode

import pytest

from services.ingest.domain.cloudevents import normal_form
from services.ingest.domain.verdict import Rejected

DATA = {"session_id": "s-1"}
ENCODED = b64encode(json.dumps(DATA).encode()).decode()


def test_a_member_of_null_is_unset() -> None:
    assert normal_form({"id": "1", "subject": None, "data": DATA}) == {"id": "1", "data": DATA}


@pytest.mark.parametrize(
    "name", ["application/json", "APPLICATION/JSON", "text/json", "application/vnd.acme+json; charset=UTF-8"]
)
def test_json_has_one_name(name: str) -> None:
    assert normal_form({"datacontenttype": name, "data": DATA}) == {"datacontenttype": "application/json", "data": DATA}


@pytest.mark.parametrize("declared", [{}, {"datacontenttype": None}, {"datacontenttype": "application/json"}])
def test_json_in_base64_is_decoded(declared: dict[str, str | None]) -> None:
    normal = normal_form({"id": "1", "data_base64": ENCODED, "data": None, **declared})

    assert not isinstance(normal, Rejected)
    assert normal["data"] == DATA
    assert "data_base64" not in normal


@pytest.mark.parametrize("name", ["application/avro", "text/plain", "application/json; charset=utf-16", "json", ""])
def test_data_that_are_no_json_are_left_as_they_are(name: str) -> None:
    given = {"datacontenttype": name, "data_base64": ENCODED}

    assert normal_form(given) == given


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        ("no base64!", "is no base64"),
        ("ü", "is no base64"),
        (ENCODED[:-1], "is no base64"),
        (5, "is no text"),
        ("", "decoded, it is not valid JSON"),
        (b64encode(b"\xff").decode(), "decoded, it is not UTF-8"),
        (b64encode(b'{"a": NaN}').decode(), "decoded, it is not valid JSON: NaN"),
    ],
)
def test_base64_that_hides_no_json_is_refused_with_the_reason(encoded: object, reason: str) -> None:
    refused = normal_form({"data_base64": encoded})

    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.errors[0].path) == ("invalid", "data_base64")
    assert refused.errors[0].reason.startswith(reason)


def test_data_are_given_once() -> None:
    refused = normal_form({"data_base64": ENCODED, "data": DATA})

    assert isinstance(refused, Rejected)
    assert refused.errors[0].path == "data_base64"
