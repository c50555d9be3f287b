"""Records that are no events are refused with their bytes and a reason, and a bad deployment stops the process."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.events import EVENT_TYPES, MENTORING_EVENT, to_json
from services.runtime.kafka import Partition, partition_of
from services.runtime.unexpected import BadDeployError, Breaker
from services.scoring.flow.decoding import Decoding, Refusal, event_of
from tests.scoring.building import held

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
STRANGE: tuple[Any, ...] = (None, "", "x@y", 0, -1, 1e400, True, [], {}, "2026-01-09T08:12:41", "1970-01-01T00:00:00Z")
KEY, PARTITIONS = held(1).partitionkey.encode(), 4
HOME = partition_of(KEY, PARTITIONS)
PLACE = Partition("log", HOME)


def _fetched(*values: bytes | None) -> list[SimpleNamespace]:
    return [SimpleNamespace(offset=7 + n, key=KEY, value=value) for n, value in enumerate(values)]


def _spoilt(event: dict[str, Any]) -> Iterator[bytes]:
    """The event, then without each of its attributes, with something strange in place of each, and with one more."""
    yield json.dumps(event).encode()
    yield json.dumps(event | {"more": 1}).encode()
    names = [(level, name) for level in (event, event["data"]) for name in level]
    for place, name in names:
        kept = place.pop(name)
        yield json.dumps(event).encode()
        for strange in STRANGE:
            place[name] = strange
            yield json.dumps(event).encode()
        place[name] = kept


def _is_of_the_catalogue(value: bytes) -> bool:
    try:
        MENTORING_EVENT.validate_json(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("type_", EVENT_TYPES)
def test_what_the_catalogue_refuses_is_refused_and_nothing_else(type_: str) -> None:
    example = json.loads((EXAMPLES / f"{type_.removeprefix('mentoring.')}.json").read_bytes())

    for value in _spoilt(example):
        event = event_of(value)

        misplaced = isinstance(event, Refusal) and event.path == "partitionkey"
        assert misplaced or isinstance(event, Refusal) != _is_of_the_catalogue(value), value


def test_every_record_counts_as_read_and_only_events_are_applied() -> None:
    foreign = to_json(held(1).model_copy(update={"partitionkey": "other/r"}))

    decoding = Decoding(_fetched(b"{broken", to_json(held(1)), None, foreign, b"{}"), PLACE, PARTITIONS, Breaker())

    assert [(record.offset, record.event is None) for record in decoding] == [
        (7, True),
        (8, False),
        (9, True),
        (10, True),
        (11, True),
    ]
    told = [dict(one.headers) for one in decoding.refused]
    assert [one.value for one in decoding.refused] == [b"{broken", None, foreign, b"{}"]
    assert [headers["reason"] for headers in told] == [b"malformed", b"malformed", b"invalid", b"invalid"]
    assert told[2]["path"] == b"partitionkey"
    assert (told[0]["origin_topic"], told[0]["origin_partition"], told[0]["origin_offset"]) == (
        b"log",
        b"%d" % HOME,
        b"7",
    )


@pytest.mark.parametrize(
    ("key", "partition", "path"),
    [
        (KEY, (HOME + 1) % PARTITIONS, "partition"),
        (b"other/r", partition_of(b"other/r", PARTITIONS), "key"),
        (b"other/r", HOME, "key"),
        (KEY + b" ", HOME, "key"),
        (b"\xff", HOME, "key"),
        (b"", HOME, "key"),
        (None, HOME, "key"),
    ],
)
def test_an_event_that_lies_elsewhere_than_its_key_belongs_is_refused(
    key: bytes | None, partition: int, path: str
) -> None:
    stray = SimpleNamespace(offset=3, key=key, value=to_json(held(1)))

    decoding = Decoding([stray], Partition("log", partition), PARTITIONS, Breaker())
    (record,) = decoding
    (refused,) = decoding.refused

    said = dict(refused.headers)
    assert (record.event, said["reason"], said["path"]) == (None, b"misplaced", path.encode())


@pytest.mark.parametrize("number", range(PARTITIONS))
def test_the_clocks_word_counts_on_every_partition(number: int) -> None:
    word = (EXAMPLES / "clock.reached.v1.json").read_bytes()

    stray = SimpleNamespace(offset=3, key=None, value=word)
    decoding = Decoding([stray], Partition("log", number), PARTITIONS, Breaker())
    (record,) = decoding

    assert record.event is not None
    assert decoding.refused == []


def test_a_hundred_refusals_in_a_row_stop_the_service_instead_of_emptying_the_log_into_quarantine() -> None:
    breaker = Breaker()
    assert len(list(Decoding(_fetched(*[b"{broken"] * 99), PLACE, PARTITIONS, breaker))) == 99

    with pytest.raises(BadDeployError):
        list(Decoding(_fetched(b"{broken"), PLACE, PARTITIONS, breaker))
