"""What the demo shows at its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

from deploy.local.demo.warehouse import Warehouse

RANDOM = "active pairs at random instants"
READY_QUERIES = {
    "which relationships are worst off?": "SELECT relationship_id, health, band, risk, last_contact "
    "FROM mentoring_mart.relationship_current ORDER BY health LIMIT 10",
    "how did the programme go?": "SELECT day, relationships, health_median, sessions, alerts "
    "FROM mentoring_mart.program_day ORDER BY day DESC LIMIT 30",
    "what were people told last?": "SELECT fired_at, rule, summary FROM mentoring_mart.alerts "
    "ORDER BY fired_at DESC LIMIT 10",
}


@dataclass(frozen=True)
class Told:
    """What the report says besides what the warehouse knows."""

    new_events: int
    end: datetime
    verdict: str
    clickhouse_url: str
    reader: tuple[str, str]


def show(console: Console, warehouse: Warehouse, told: Told) -> None:
    end = told.end.strftime("%Y-%m-%d %H:%M:%S")
    console.print(_bands(warehouse.ask("bands")))
    console.print(_at_risk(warehouse.ask("at_risk", end=end)))
    console.print(_alerts(warehouse.ask("alerts")))
    console.print(_outcomes(warehouse.ask("outcomes", end=end)))
    for line in _facts(warehouse.ask("counts")[0], told):
        console.print(line, soft_wrap=True, markup=False, highlight=False)  # commands are copied whole


def _bands(rows: Sequence[Mapping[str, Any]]) -> Table:
    return _table("Relationships by band", rows, ("band", "relationships", "mean_health", "mean_risk"))


def _at_risk(rows: Sequence[Mapping[str, Any]]) -> Table:
    told = [{**row, "mostly because of": _reasons(row)} for row in rows]
    columns = ("relationship", "health", "band", "risk", "silent_days", "mostly because of")
    return _table("Most at risk among those that met in the last 90 days", told, columns)


def _alerts(rows: Sequence[Mapping[str, Any]]) -> Table:
    return _table("Alerts sent", rows, ("rule", "fired", "resolved", "relationships"))


def _outcomes(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    told = [
        {
            "after": row["told"] if row["told"] == RANDOM else f"{row['told']} alerts",
            "instants": row["instants"],
            "no contact in the next 30 days": f"{row['silent']} ({row['percent']:.0f} %)",
        }
        for row in rows
    ]
    columns = ("after", "instants", "no contact in the next 30 days")
    return _table("How the alerts turned out, for the history went on after them", told, columns)


def _facts(counts: Mapping[str, Any], told: Told) -> Sequence[str]:
    user, password = told.reader
    same = "equal" if counts["accepted"] == counts["rows"] else "DIFFERENT"
    asked = f'curl -sS -u {user}:{password} "{told.clickhouse_url}" -d'
    return [
        f"Events: {told.new_events} new; {counts['accepted']} accepted, {counts['rows']} rows in ClickHouse: {same}",
        f"Scores recomputed from the log: {told.verdict}",
        "",
        f"ClickHouse at {told.clickhouse_url}, login {user}, password {password}. Three queries to begin with:",
        *(f"  # {question}\n  {asked} '{query} FORMAT PrettyCompact'" for question, query in READY_QUERIES.items()),
    ]


def _reasons(row: Mapping[str, Any]) -> str:
    """The three parts that cost most: the points that a factor could give and does not, or that silence takes."""
    total = sum(row["weights"].values()) or 1
    costs = {name: 100 * row["weights"].get(name, 0) / total - points for name, points in row["factors"].items()}
    worst = sorted(costs.items(), key=lambda cost: -cost[1])[:3]
    return ", ".join(f"{name} -{points:.1f}" for name, points in worst if points >= 0.05)  # noqa: PLR2004 (a tenth)


def _table(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        number = bool(rows) and isinstance(rows[0][column], int | float)
        table.add_column(column.replace("_", " "), justify="right" if number else "left")
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    return table
