"""The JSON parser: duplicate names, huge numbers and other traps are refused."""

import time

import pytest

from services.ingest.domain.cloudevents import Parsed, read_json
from services.ingest.domain.verdict import Rejected


def fault(raw: bytes) -> str:
    result = read_json(raw)
    assert isinstance(result, Rejected)
    assert result.reason == "malformed"
    return result.errors[0].reason


def test_json_is_read() -> None:
    raw = '{"a": [1, 2.5, "ü", "\\u00fc\\ud83d\\ude00"]}'.encode()

    assert read_json(b'{"a": null}') == Parsed({"a": None})
    assert read_json(raw) == Parsed({"a": [1, 2.5, "ü", "ü😀"]})


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "is not valid JSON: Expecting value: line 1 column 1 (char 0)"),
        (b'{"a": 1', "is not valid JSON: Expecting ',' delimiter: line 1 column 8 (char 7)"),
        (b'{"a": 1} {}', "is not valid JSON: Extra data: line 1 column 10 (char 9)"),
        (b'{"a": 1, "a": 2}', "is not valid JSON: the name 'a' appears twice in one object"),
        (b'{"a": NaN}', "is not valid JSON: NaN is no JSON number"),
        (b'{"a": -Infinity}', "is not valid JSON: -Infinity is no JSON number"),
        (b'{"a": 1e999}', "is not valid JSON: 1e999 is too large a number"),
        (b'{"a": "\\ud800"}', "is not valid JSON: it holds half a character (a lone surrogate)"),
        (b'{"a": "\xff"}', "is not UTF-8: invalid start byte at byte 7"),
        (b"[" * 100_000, "is nested too deeply"),
    ],
)
def test_invalid_json_is_reported_with_a_reason(raw: bytes, words: str) -> None:
    assert fault(raw) == words


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": {"b": 1, "b": 2}}', "the name 'b' appears twice in one object"),
        (b'{"a": 1e999}', "1e999 is too large a number"),
    ],
)
def test_of_a_batch_the_item_at_fault_is_named_as_answers_number_it(broken: bytes, words: str) -> None:
    whole = b'{"a": ["],", "\\u00fc", {}]}'

    assert fault(b" [" + b" , ".join([whole] * 17 + [broken, whole]) + b"]") == (
        f"is not valid JSON: {words}, in the item with index 17"
    )
    assert fault(b"[" + broken + b"]").endswith(", in the item with index 0")


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    assert "Exceeds the limit" in fault(b"[" + b"9" * 5_000 + b"]")


def test_one_byte_order_mark_is_read_over() -> None:
    mark = b"\xef\xbb\xbf"

    assert read_json(mark + b'{"a": 1}') == Parsed({"a": 1})
    assert isinstance(read_json(mark + mark + b"{}"), Rejected)
    assert isinstance(read_json(mark), Rejected)


@pytest.mark.parametrize("where", ["first", "last", "everywhere"])
def test_a_name_twice_among_very_many_is_found_at_once(where: str) -> None:
    names = [f'"n{number}":1' for number in range(30_000)]
    repeated = {"first": [names[0]], "last": [names[-1]], "everywhere": names}[where]
    body = ("{" + ",".join(names + repeated) + "}").encode()

    began = time.thread_time()
    words = fault(body)

    # It took 38 s when each name was looked for among all others.
    assert time.thread_time() - began < 1
    assert "appears twice in one object" in words


@pytest.mark.parametrize("value", [b"1", b"[]", b"{}", b'""', b"null", b"[[[]]]"])
def test_a_text_of_nothing_but_tiny_values_is_refused_before_it_is_read(value: bytes) -> None:
    body = b"[" + b",".join([value] * (2**20 // (len(value) + 1))) + b"]"

    began = time.thread_time()
    words = fault(body)

    assert time.thread_time() - began < 0.1
    assert words == "holds more than one value for 8 bytes: this is no text that describes anything"


def test_ten_thousand_tiny_values_are_read() -> None:
    assert read_json(b"[" + b"1," * 9_000 + b"1]") == Parsed([1] * 9_001)
