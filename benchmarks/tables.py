"""Formats figures as tables for a terminal and a README, and as one JSON document."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import NamedTuple

from rich.table import Table as RichTable

from benchmarks.figures import PER, Aim, Figure
from benchmarks.machine import Machine

THOUSAND = 1_000
"""From this value on, figures are shown without decimals."""


class Table(NamedTuple):
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(figures: Sequence[Figure], aims: Sequence[Aim], scoring: float | None) -> list[Table]:
    candidates = [_live(figures), _shares(figures, scoring), _recovery(figures), _replay(figures), _aims(aims)]
    return [table for table in candidates if table.rows]


def as_rich(table: Table) -> RichTable:
    rich_table = RichTable(title=table.title, title_justify="left")
    for place, column in enumerate(table.columns):
        rich_table.add_column(column, justify="left" if place == 0 else "right")
    for row in table.rows:
        rich_table.add_row(*row)
    return rich_table


def as_markdown(table: Table) -> str:
    lines = [table.columns, ["---", *["---:"] * (len(table.columns) - 1)], *table.rows]
    return f"**{table.title}**\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def as_json(machine: Machine, figures: Sequence[Figure], aims: Sequence[Aim], failed: Iterable[tuple[str, str]]) -> str:
    document = {
        "machine": machine.values(),
        "figures": [asdict(figure) | {"contestant": figure.contestant.name} for figure in figures],
        "aims": [aim._asdict() for aim in aims],
        "failures": [{"contestant": name, "reason": reason} for name, reason in failed],
    }
    return json.dumps(document, indent=2)


def _of_section(section: str, figures: Sequence[Figure]) -> list[Figure]:
    return [figure for figure in figures if figure.contestant.section == section]


def _live(figures: Sequence[Figure]) -> Table:
    columns = ("", f"CPU s per {PER:,}", "x aiokafka", "wall s", "rounds")
    rows = [
        (f.contestant.label, f"{f.cpu:.2f}", _times(f.ratio), f"{f.wall:.1f}", f"{f.rounds}")
        for f in _of_section("live", figures)
    ]
    return Table("Live flow, the same events on the same topic", columns, rows)


def _shares(figures: Sequence[Figure], scoring: float | None) -> Table:
    measured = [figure for figure in figures if figure.shares]
    names = dict.fromkeys(name for figure in measured for name in figure.shares)
    rows = [(name, *(_percent(figure.shares.get(name)) for figure in measured)) for name in names]
    rest = [_percent(1 - sum(figure.shares.values())) for figure in measured]
    rows.append(("fetching, writing, Faust", *rest))
    if scoring is not None:
        rows.append(("scoring: whole less unscored", *["" for _ in measured[1:]], _percent(scoring)))
    columns = ("", *(figure.contestant.label for figure in measured))
    return Table("Where the CPU seconds go", columns, rows if measured else [])


def _recovery(figures: Sequence[Figure]) -> Table:
    columns = ("", "s per million records", "CPU s", "CPU x reading", "rounds")
    million = 1_000_000 / PER
    rows = [
        (f.contestant.label, f"{f.wall * million:.1f}", f"{f.cpu * million:.1f}", _times(f.ratio), f"{f.rounds}")
        for f in _of_section("recovery", figures)
    ]
    return Table("Recovery, from the first record of the changelog", columns, rows)


def _replay(figures: Sequence[Figure]) -> Table:
    columns = ("", "events/s", "events per CPU s", "CPU x one process", "rounds")
    rows = [
        (f.contestant.label, f"{f.rate:,.0f}", f"{f.rate_of_a_core:,.0f}", _times(f.ratio), f"{f.rounds}")
        for f in _of_section("replay", figures)
    ]
    return Table("Replay from JSONL, dry run", columns, rows)


def _aims(aims: Sequence[Aim]) -> Table:
    rows = [
        (
            aim.what,
            f"{aim.measured:,.3g}" if aim.measured < THOUSAND else f"{aim.measured:,.0f}",
            aim.limit,
            "met" if aim.met else "MISSED",
        )
        for aim in aims
    ]
    return Table("Aims", ("", "measured", "limit", ""), rows)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"
