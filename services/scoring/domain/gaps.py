"""A log that begins beyond what was applied: what is in between is lost, and only a person may say that it stays so."""

from typing import NamedTuple

from services.scoring.domain.bounds import NONE
from services.scoring.domain.layout import PartitionWatermark


class Gap(NamedTuple):
    """`wanted` is the offset to apply next, `begin` the first that the log still has."""

    wanted: int
    begin: int

    @property
    def lost(self) -> int:
        return self.begin - self.wanted


class GapAccepted(NamedTuple):
    """`watermark` is what says so in the changelog: under a generation of its own, and the greatest of all."""

    lost: int
    watermark: PartitionWatermark


class GapRefused(NamedTuple):
    reason: str


def gap_of(watermark: PartitionWatermark, begin: int) -> Gap | None:
    """Where nothing was applied yet, reading begins where the log does."""
    wanted = watermark.offset + 1
    return Gap(wanted, begin) if watermark.offset > NONE and wanted < begin else None


def accept(watermark: PartitionWatermark, begin: int, offset: int) -> GapAccepted | GapRefused:
    """Whether work may go on at `offset`. Only where the log begins: what still exists is never stepped over."""
    gap = gap_of(watermark, begin)
    if gap is None:
        return GapRefused(f"there is no gap: the log begins at {begin}, and offset {watermark.offset + 1} comes next")
    if offset < begin:
        return GapRefused(f"offset {offset} is lost as well: the log begins at {begin}")
    if offset > begin:
        return GapRefused(f"the records from {begin} to {offset - 1} still exist: only {begin} can be accepted")
    return GapAccepted(gap.lost, watermark._replace(offset=begin - 1))
