"""A sorted batch: rows by table and partition, refusals by offset, and the number of ignored records."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.warehouse.domain.record import Outcome, Refused, StoredRow


@dataclass(frozen=True)
class Block:
    """The content of one insert: rows of one month of one table."""

    table: str
    month: int
    rows: Sequence[StoredRow]


@dataclass(frozen=True)
class SortedBatch:
    blocks: Sequence[Block]
    refused: Mapping[int, Refused]
    ignored: int

    @property
    def rows(self) -> int:
        return sum(len(block.rows) for block in self.blocks)


def sort_outcomes(outcomes: Sequence[tuple[int, Outcome]]) -> SortedBatch:
    """`outcomes` are pairs of offset and outcome, in offset order."""
    blocks = defaultdict[tuple[str, int], list[StoredRow]](list)
    refused: dict[int, Refused] = {}
    ignored = 0
    for offset, outcome in outcomes:
        if isinstance(outcome, tuple):
            for row in outcome:
                blocks[row.table, row.month].append(row)
        elif isinstance(outcome, Refused):
            refused[offset] = outcome
        else:
            ignored += 1
    found = tuple(Block(table, month, rows) for (table, month), rows in sorted(blocks.items()))
    return SortedBatch(found, refused, ignored)
