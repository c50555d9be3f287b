"""A batch sorted out: rows by the partition of their table, refusals by offset, and how many were for no table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.warehouse.domain.record import Ignored, Outcome, Refused, Row


@dataclass(frozen=True)
class Sorted:
    months: Mapping[int, Sequence[Row]]
    refused: Mapping[int, Refused]
    ignored: int

    @property
    def rows(self) -> int:
        return sum(map(len, self.months.values()))


def sort_out(outcomes: Sequence[tuple[int, Outcome]]) -> Sorted:
    """`outcomes` are in offset order, each with its offset."""
    months: dict[int, list[Row]] = {}
    for row in (outcome for _, outcome in outcomes if isinstance(outcome, Row)):
        months.setdefault(row.month, []).append(row)
    return Sorted(
        months=dict(sorted(months.items())),
        refused={offset: outcome for offset, outcome in outcomes if isinstance(outcome, Refused)},
        ignored=sum(isinstance(outcome, Ignored) for _, outcome in outcomes),
    )
