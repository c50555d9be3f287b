"""What the flow needs of the domain: whether time alone brings a row, and how a newer service's layout is refused."""

import pytest

from services.scoring.domain import layout
from services.scoring.domain.changelog import WATERMARK, ChangelogEntry, Recovery
from services.scoring.domain.layout import Enrolment, PartitionWatermark, RelationshipState
from services.scoring.domain.partition import ScoredPartition
from services.scoring.domain.profiles import Programmes
from tests.scoring.building import KEY, facts, held, micros


def test_a_row_is_due_at_the_next_midnight_and_not_before() -> None:
    state = RelationshipState(facts(held(0.5)), position=0, clock=micros(0.6), enrolment=Enrolment(0, "p"))
    partition = ScoredPartition(Programmes(), {KEY: state}, PartitionWatermark(0, micros(0.6), micros(0.6)))

    assert not partition.is_due(micros(1) - 1)
    assert partition.is_due(micros(1))


def test_without_relationships_nothing_is_ever_due() -> None:
    assert not ScoredPartition(Programmes(), {}, PartitionWatermark()).is_due(micros(1000))


def test_a_watermark_that_is_longer_in_a_newer_version_is_refused_as_newer() -> None:
    recovery = Recovery()
    recovery.add(ChangelogEntry(WATERMARK, 1, None).key, bytes([2]) + bytes(32))

    with pytest.raises(layout.UnknownLayoutError, match="layout 2"):
        recovery.finish()
