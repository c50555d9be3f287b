"""Whatever lies on the topics of scoring, its rows are those of the events that can be read."""

from services.scoring.domain.changelog import WATERMARK
from tests.foreign import RawName, foreign_producer
from tests.receiver import eventually
from tests.scoring.flow.comparison import compare_states
from tests.scoring.flow.harness import PARTITIONS, Scoring
from tests.scoring.flow.long_log import end_of, keyed, long_log

HEADERS = [(RawName("\xff\xfe"), b"\xff"), ("content-type", b"application/json; charset*=a; charset*0=b")]
GENERATION = b"\x00\x00\x00\x00\x00\x00\x00\x01"
GARBAGE: tuple[tuple[bytes, bytes | None], ...] = (
    (b"x", b"\xff"),
    (b"\xff\xff/\xff" + GENERATION, b"\x02"),
    (b"acme/rel" + GENERATION, b""),
    (b"acme/rel-2" + GENERATION, b"\x02 garbage"),
    (b"no-slash" + GENERATION, b"\x02" + bytes(90)),
    (WATERMARK.encode() + GENERATION, b"{}"),
    (b"\x00programme\x00a/b" + GENERATION, b"[]"),
    (b"k" * 600_000, b"x"),
    (b"gone" + GENERATION, None),
)
ON_THE_LOG = (
    (b"\xff", b"\xff"),
    (None, b"{}"),
    (b"k" * 600_000, b"[" * 100_000),
    (b"acme/x", None),
    (b"x", b"{" * 3_000_000),
)


def test_garbage_on_the_log_and_in_the_changelog_changes_no_state_and_stops_nobody(scoring: Scoring) -> None:
    events = long_log(7, 12)
    records, half = keyed(events), len(events) // 2
    first = scoring.start()
    scoring.feed(records[:half])
    scoring.reach(events[half - 1].recordedtime)
    scoring.await_clock(events[half - 1].recordedtime)
    first.end()

    with foreign_producer(scoring.settings) as writer:
        for number in range(PARTITIONS):
            for key, value in GARBAGE:
                writer.put(scoring.topics.state, key, value, HEADERS, partition=number)
            for name, output in ON_THE_LOG:
                writer.put(scoring.topics.events, name, output, HEADERS, partition=number)
    second = scoring.start()
    scoring.feed(records[half:])
    scoring.reach(end_of(events))
    scoring.await_clock(end_of(events))
    eventually(lambda: second.owns(*range(PARTITIONS)), what="all partitions")

    assert second.output("states_unreadable") == PARTITIONS
    second.end()
    histories, kept = compare_states(scoring)
    assert len(histories) > 2
    third = scoring.start()
    eventually(lambda: third.owns(*range(PARTITIONS)), what="all partitions")
    assert third.output("states_unreadable") == 0
    assert kept.watermarks.keys() == set(range(PARTITIONS))
