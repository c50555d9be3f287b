"""What is no event is refused with its bytes and a reason, and a whole bad deploy stops."""

from types import SimpleNamespace

import pytest

from schemas.events import to_json
from services.runtime.breaker import BadDeployError, Breaker
from services.scoring.flow.decoding import decoded
from tests.scoring.building import held


def _fetched(*values: bytes | None) -> list[SimpleNamespace]:
    return [SimpleNamespace(topic="log", partition=2, offset=7 + n, value=value) for n, value in enumerate(values)]


def test_every_record_counts_as_read_and_only_events_are_applied() -> None:
    foreign = to_json(held(1).model_copy(update={"partitionkey": "other/r"}))

    records, refused = decoded(_fetched(b"{broken", to_json(held(1)), None, foreign, b"{}"), Breaker())

    assert [(record.offset, record.event is None) for record in records] == [
        (7, True),
        (8, False),
        (9, True),
        (10, True),
        (11, True),
    ]
    told = [dict(one.headers) for one in refused]
    assert [one.value for one in refused] == [b"{broken", None, foreign, b"{}"]
    assert [headers["reason"] for headers in told] == [b"malformed", b"malformed", b"invalid", b"invalid"]
    assert told[2]["path"] == b"partitionkey"
    assert (told[0]["origin_topic"], told[0]["origin_partition"], told[0]["origin_offset"]) == (b"log", b"2", b"7")


def test_a_hundred_refusals_in_a_row_stop_the_service_instead_of_emptying_the_log_into_quarantine() -> None:
    breaker = Breaker()
    decoded(_fetched(*[b"{broken"] * 99), breaker)

    with pytest.raises(BadDeployError):
        decoded(_fetched(b"{broken"), breaker)
