import json

import pytest

from services.ingest.domain.tools.free_text import Cut, cut_text
from services.ingest.domain.verdict import Rejected

NAMES = frozenset({"text", "blocks"})


def cut(value: object) -> object:
    found = cut_text(json.dumps(value).encode(), NAMES)
    assert isinstance(found, Cut)
    return json.loads(found.payload)


def test_text_is_emptied_at_any_depth_and_of_any_shape() -> None:
    value = {"text": "secret", "a": [{"text": {"de": "geheim"}, "blocks": [1, "secret"]}], "id": "text"}

    assert cut(value) == {"text": "", "a": [{"text": {}, "blocks": []}], "id": "text"}


def test_what_holds_no_text_stays_the_same_bytes() -> None:
    for payload in (b'{ "id" : 1 }', b'{"text": "", "blocks": []}', b'{"text": null}', b"[]", b"7"):
        assert cut_text(payload, NAMES) == Cut(payload, was_cut=False)


def test_numbers_and_truth_are_no_text() -> None:
    assert cut({"text": 7, "blocks": True, "a": {"text": "x"}}) == {"text": 7, "blocks": True, "a": {"text": ""}}


def test_a_tool_without_free_text_keeps_every_byte() -> None:
    assert cut_text(b"\xff", frozenset()) == Cut(b"\xff", was_cut=False)


@pytest.mark.parametrize("depth", [100, 500, 900, 950, 1_000, 5_000])
def test_no_depth_hides_text_or_breaks_the_cut(depth: int) -> None:
    payload = ('{"a":' * depth + '{"text": "secret"}' + "}" * depth).encode()

    found = cut_text(payload, NAMES)

    assert isinstance(found, Rejected) or b"secret" not in found.payload


def test_what_is_no_json_is_refused() -> None:
    assert isinstance(cut_text(b'{"text": "secret', NAMES), Rejected)
