"""Whether work may continue where a log begins."""

from services.scoring.domain.layout import PartitionWatermark
from services.scoring.domain.maintenance import Gap, GapAccepted, GapRefused, accept, gap_of

APPLIED = PartitionWatermark(offset=41, clock=7, clock_next=9)


def test_a_log_that_begins_beyond_the_next_record_has_a_gap() -> None:
    assert gap_of(APPLIED, 50) == Gap(42, 50)
    assert Gap(42, 50).lost == 8


def test_a_log_that_still_has_the_next_record_has_none() -> None:
    assert gap_of(APPLIED, 42) is None
    assert gap_of(APPLIED, 0) is None


def test_where_nothing_was_applied_reading_begins_where_the_log_does() -> None:
    assert gap_of(PartitionWatermark(), 50) is None


def test_accepting_moves_the_offset_alone() -> None:
    assert accept(APPLIED, 50, 50) == GapAccepted(8, PartitionWatermark(offset=49, clock=7, clock_next=9))


def test_what_is_accepted_is_greater_than_what_was_there() -> None:
    verdict = accept(APPLIED, 50, 50)

    assert isinstance(verdict, GapAccepted)
    assert max(APPLIED, verdict.watermark) == verdict.watermark


def test_nothing_is_accepted_where_there_is_no_gap() -> None:
    verdict = accept(APPLIED, 42, 42)

    assert verdict == GapRefused("there is no gap: the log begins at 42, and offset 42 comes next")


def test_records_that_still_exist_are_never_stepped_over() -> None:
    verdict = accept(APPLIED, 50, 52)

    assert verdict == GapRefused("the records from 50 to 51 still exist: only 50 can be accepted")


def test_an_offset_within_the_gap_is_refused() -> None:
    verdict = accept(APPLIED, 50, 45)

    assert verdict == GapRefused("offset 45 is lost as well: the log begins at 50")
