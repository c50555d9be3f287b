"""States of an older layout: their content is kept, and missing facts are read from the log again."""

import struct

import pytest

from services.scoring.domain import layout
from services.scoring.domain.changelog import ChangelogEntry, Recovery, state_entry, watermark_entry
from services.scoring.domain.facts import facts_of
from services.scoring.domain.layout import Enrolment, PartitionWatermark, RelationshipState, facts_bytes
from services.scoring.domain.partition import ScoredPartition
from services.scoring.domain.profiles import Programmes
from tests.scoring.building import held, micros

LAYOUT_1 = struct.pack(">B6qqH", 1, 42, 0, 0, 0, 0, 0, 3, len("mentors")) + b"mentors and facts in another order"


def test_of_the_first_layout_only_the_home_is_read_and_all_that_was_told_is_stale() -> None:
    assert layout.load(LAYOUT_1) == RelationshipState(stale_position=42, enrolment=Enrolment(3, "mentors"))


def test_a_state_of_the_second_layout_is_read_whole_and_looked_at_anew() -> None:
    facts, enrolment = facts_of(held(1), 7), Enrolment(5, "mentors")
    written = struct.pack(">B8qqH", 2, 7, 9, *[-1] * 6, 5, len("mentors")) + b"mentors" + facts_bytes(facts)
    recovery = Recovery()
    for entry in (
        ChangelogEntry("t/old", 1, written),
        watermark_entry(1, PartitionWatermark(9, micros(3.5), micros(3.5))),
    ):
        recovery.add(entry.key, entry.value)

    found = recovery.finish()

    assert found.watermark.offset == 9
    assert found.states == {"t/old": RelationshipState(facts, position=7, clock=9, enrolment=enrolment)}
    partition = ScoredPartition(Programmes(), found.states, found.watermark)
    assert not partition.is_due(micros(4) - 1)
    assert partition.is_due(micros(4))


def test_of_the_second_layout_facts_of_no_kind_are_refused() -> None:
    ((key, fact),) = facts_of(held(1), 7).items()
    written = struct.pack(">B8qqH", 2, 7, 9, *[-1] * 6, 5, 0) + facts_bytes({key._replace(kind=99): fact})

    with pytest.raises(LookupError):
        layout.load(written)


def test_where_one_state_is_of_the_first_layout_the_log_is_read_again_from_its_beginning() -> None:
    recovery = Recovery()
    for entry in (
        ChangelogEntry("t/old", 1, LAYOUT_1),
        state_entry("t/new", 1, RelationshipState(facts_of(held(1), 7), position=7, enrolment=Enrolment(5, "mentors"))),
        watermark_entry(1, PartitionWatermark(9, 10, 10)),
    ):
        recovery.add(entry.key, entry.value)

    found = recovery.finish()

    assert found.watermark == PartitionWatermark()
    assert found.states == {
        "t/old": RelationshipState(stale_position=42, enrolment=Enrolment(3, "mentors")),
        "t/new": RelationshipState(stale_position=7, enrolment=Enrolment(5, "mentors")),
    }
