"""States that an older service wrote: what they know is kept, what they lack is read from the log again."""

import struct

from services.scoring.domain import layout
from services.scoring.domain.changelog import Entry, Recovery, state_entry, watermark_entry
from services.scoring.domain.facts import facts_of
from services.scoring.domain.partition import Watermark
from services.scoring.domain.state import Home, State
from tests.scoring.building import held

LAYOUT_1 = struct.pack(">B6qqH", 1, 42, 0, 0, 0, 0, 0, 3, len("mentors")) + b"mentors and facts in another order"


def test_of_the_first_layout_only_the_home_is_read_and_all_that_was_told_is_stale() -> None:
    assert layout.load(LAYOUT_1) == State(stale_position=42, home=Home(3, "mentors"))


def test_where_one_state_is_of_the_first_layout_the_log_is_read_again_from_its_beginning() -> None:
    recovery = Recovery()
    for entry in (
        Entry("t/old", 1, LAYOUT_1),
        state_entry("t/new", 1, State(facts_of(held(1), 7), position=7, home=Home(5, "mentors"))),
        watermark_entry(1, Watermark(9, 10, 10)),
    ):
        recovery.add(entry.key, entry.value)

    found = recovery.finish()

    assert found.watermark == Watermark()
    assert found.states == {
        "t/old": State(stale_position=42, home=Home(3, "mentors")),
        "t/new": State(stale_position=7, home=Home(5, "mentors")),
    }
