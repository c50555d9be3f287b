"""What the demo shows at its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

from deploy.local.demo.warehouse import Warehouse

RANDOM = "active pairs at random instants"
ALERTS = {
    "health_low": "health is low",
    "health_drop": "health has dropped",
    "disengaging": "likely to go silent",
    "no_contact": "no contact for long",
    "close_proposed": "seems to be over",
    "support_requested": "asked for support",
    "programme_shift": "many pairs of a programme",
    "source_silent": "a source is silent",
    "score_stale": "scores are behind",
}
FACTORS = {"recency": "time since contact", "cadence": "rhythm", "trend": "fewer contacts", "silence": "silence"}
"""Those whose own name says little."""
LOWEST_SHOWN = 0.05
"""Points: less is 0.0 on paper."""


@dataclass(frozen=True)
class DemoFacts:
    """What the report says besides what the warehouse knows."""

    new_events: int
    verdict: str
    clickhouse_url: str
    reader: tuple[str, str]
    gateway_url: str
    board_url: str
    env: str


Answers = Mapping[str, Sequence[Mapping[str, Any]]]
"""The rows of each query beside this file, by its name."""


def answers(warehouse: Warehouse, end: datetime) -> Answers:
    """Raises httpx.HTTPError."""
    until = {"end": end.strftime("%Y-%m-%d %H:%M:%S")}
    asked = {"bands": {}, "at_risk": until, "predicted": until, "alerts": {}, "outcomes": until, "counts": {}}
    return {name: warehouse.ask(name, **parameters) for name, parameters in asked.items()}


def show(console: Console, found: Answers, told: DemoFacts) -> None:
    console.print("\nHealth is 0 (worst) to 100. Risk is the probability of no contact in 30 days.\n", highlight=False)
    console.print(_bands(found["bands"]))
    console.print(_at_risk(found["at_risk"]))
    console.print(_predicted(found["predicted"]))
    console.print(_alerts(found["alerts"]))
    console.print(_outcomes(found["outcomes"]))
    pair = next((row["relationship"] for row in found["at_risk"]), "PAIR")
    for line in _facts(found["counts"][0], told, pair):
        console.print(line, soft_wrap=True, markup=False, highlight=False)  # commands are copied whole


def _bands(rows: Sequence[Mapping[str, Any]]) -> Table:
    told = [
        {
            "state": row["band"],
            "pairs": row["relationships"],
            "average health": row["mean_health"],
            "average risk": row["mean_risk"],
        }
        for row in rows
    ]
    return _table("How the pairs are", told, ("state", "pairs", "average health", "average risk"))


def _at_risk(rows: Sequence[Mapping[str, Any]]) -> Table:
    told = [
        {
            "pair": row["relationship"],
            "health": row["health"],
            "risk": row["risk"],
            "days silent": row["silent_days"],
            "what costs it most health": _reasons(row),
        }
        for row in rows
    ]
    columns = ("pair", "health", "risk", "days silent", "what costs it most health")
    return _table("Most at risk among those that met in the last 90 days", told, columns)


def _predicted(rows: Sequence[Mapping[str, Any]]) -> Table:
    told = [
        {
            "risk": f"{row['from_risk']:.1f} to {row['from_risk'] + 0.1:.1f}",
            "times": row["cases"],
            "on average": f"{row['predicted']:.2f}",
            "went silent": f"{row['observed']:.2f}",
            "difference": f"{row['observed'] - row['predicted']:+.2f}",
        }
        for row in rows
    ]
    columns = ("risk", "times", "on average", "went silent", "difference")
    return _table("The risk in the last year, learnt from those before, and what happened", told, columns)


def _alerts(rows: Sequence[Mapping[str, Any]]) -> Table:
    told = [
        {
            "alert": ALERTS.get(row["rule"], row["rule"]),
            "sent": row["fired"],
            "over again": row["resolved"],
            "pairs": row["relationships"],
        }
        for row in rows
    ]
    return _table("Alerts sent", told, ("alert", "sent", "over again", "pairs"))


def _outcomes(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    told = [
        {
            "after": "any day, for comparison"
            if row["told"] == RANDOM
            else f"alert: {ALERTS.get(row['told'], row['told'])}",
            "times": row["instants"],
            "no contact in the next 30 days": f"{row['silent']} ({row['percent']:.0f} %)",
        }
        for row in rows
    ]
    columns = ("after", "times", "no contact in the next 30 days")
    return _table("How the alerts turned out, for the history went on after them", told, columns)


def _facts(counts: Mapping[str, Any], told: DemoFacts, pair: str) -> Sequence[str]:
    user, password = told.reader
    same = "equal" if counts["accepted"] == counts["rows"] else "DIFFERENT"
    return [
        f"Events: {told.new_events:,} new; {counts['accepted']:,} accepted, {counts['rows']:,} stored: {same}",
        "Every score, computed once more from the events alone:",
        f"  {told.verdict}",
        "",
        "Next, in a browser:",
        *(f"  {url}  {words}" for url, words in _pages(told)),
        "",
        "In a second terminal, in this folder:",
        f"  . {told.env}; PATH=$PWD/.venv/bin:$PATH",
        "  rapport warehouse queries              questions that are ready to be asked",
        "  rapport warehouse queries worst_pairs  one of them",
        f"  {f'rapport scoring explain {pair}':38} why its score is what it is",
        "",
        "The numbers, for any tool that speaks to ClickHouse:",
        f"  {told.clickhouse_url}, login {user}, password {password}",
        "",
        "Everything goes on running. Ctrl-C ends it; the data stays, and the next demo",
        "goes on from here.",
    ]


def _pages(told: DemoFacts) -> Sequence[tuple[str, str]]:
    """Every page that there is to look at, the most telling first."""
    return [
        (told.board_url, "the board: what is open, and whom to call"),
        (f"{told.gateway_url}/docs", "every event that can be sent, and what it moves"),
    ]


def _reasons(row: Mapping[str, Any]) -> str:
    """The three parts that cost most: the points that a factor could give and does not, or that silence takes."""
    total = sum(row["weights"].values()) or 1
    costs = {name: 100 * row["weights"].get(name, 0) / total - points for name, points in row["factors"].items()}
    worst = sorted(costs.items(), key=lambda cost: -cost[1])[:3]
    named = [(FACTORS.get(name, name.replace("_", " ")), points) for name, points in worst if points >= LOWEST_SHOWN]
    return ", ".join(f"{name} -{points:.1f}" for name, points in named)


def _table(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        number = bool(rows) and isinstance(rows[0][column], int | float)
        table.add_column(column.replace("_", " "), justify="right" if number else "left")
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    return table
