"""The report at the end of the demo, and the ClickHouse queries behind it."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from operator import itemgetter
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

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
"""Names for the factors whose own name is not clear."""
LOWEST_SHOWN = 0.05
"""Points: less would be printed as 0.0."""


Row = Mapping[str, Any]


def _reasons(row: Row) -> str:
    """Return the three largest losses: points that a factor could give and does not, or that silence costs."""
    total = sum(row["weights"].values()) or 1
    costs = {name: 100 * row["weights"].get(name, 0) / total - points for name, points in row["factors"].items()}
    worst = sorted(costs.items(), key=lambda cost: -cost[1])[:3]
    named = [(FACTORS.get(name, name.replace("_", " ")), points) for name, points in worst if points >= LOWEST_SHOWN]
    return ", ".join(f"{name} -{points:.1f}" for name, points in named)


TABLES: Mapping[str, tuple[str, Mapping[str, Callable[[Row], object]]]] = {
    "bands": (
        "How the pairs are",
        {
            "state": itemgetter("band"),
            "pairs": itemgetter("relationships"),
            "average health": itemgetter("mean_health"),
            "average risk": itemgetter("mean_risk"),
        },
    ),
    "at_risk": (
        "Most at risk among those that met in the last 90 days",
        {
            "pair": itemgetter("relationship"),
            "health": itemgetter("health"),
            "risk": itemgetter("risk"),
            "days silent": itemgetter("silent_days"),
            "what costs it most health": _reasons,
        },
    ),
    "predicted": (
        "The risk in the last year, learnt from the years before, and what happened",
        {
            "risk": lambda row: f"{row['from_risk']:.1f} to {row['from_risk'] + 0.1:.1f}",
            "times": itemgetter("cases"),
            "on average": lambda row: f"{row['predicted']:.2f}",
            "went silent": lambda row: f"{row['observed']:.2f}",
            "difference": lambda row: f"{row['observed'] - row['predicted']:+.2f}",
        },
    ),
    "alerts": (
        "Alerts sent",
        {
            "alert": lambda row: ALERTS.get(row["rule"], row["rule"]),
            "sent": itemgetter("fired"),
            "over again": itemgetter("resolved"),
            "pairs": itemgetter("relationships"),
        },
    ),
    "outcomes": (
        "How the alerts turned out, for the history went on after them",
        {
            "after": lambda row: (
                "any day, for comparison"
                if row["trigger"] == RANDOM
                else f"alert: {ALERTS.get(row['trigger'], row['trigger'])}"
            ),
            "times": itemgetter("instants"),
            "no contact in the next 30 days": lambda row: f"{row['silent']} ({row['percent']:.0f} %)",
        },
    ),
}
"""In the order of the report: the title of each query's table, and how each column derives from a row."""


QUERY_SECONDS = 60.0


class Warehouse:
    """Queries over HTTP, as any script could. `login` is (user, password). Raises httpx.HTTPError, with ClickHouse's
    error text for a failed query."""

    def __init__(self, url: str, login: tuple[str, str]) -> None:
        self._client = httpx.Client(base_url=url, auth=login, timeout=QUERY_SECONDS)

    def query(self, name: str, **parameters: str) -> list[dict[str, Any]]:
        """Return the rows of the query `NAME.sql` beside this file; `parameters` fill its {name:Type} placeholders."""
        sql = (files("deploy.local.demo") / f"{name}.sql").read_text()
        options = {"default_format": "JSONEachRow", "output_format_json_quote_64bit_integers": "0"}
        query_parameters = {f"param_{placeholder}": value for placeholder, value in parameters.items()}
        answer = self._client.post("/", params={**options, **query_parameters}, content=sql)
        if answer.is_error:
            raise httpx.HTTPStatusError(answer.text.strip(), request=answer.request, response=answer)
        return [json.loads(line) for line in answer.text.splitlines()]

    def close(self) -> None:
        self._client.close()


@dataclass(frozen=True)
class DemoFacts:
    """The facts of the report that do not come from the warehouse."""

    new_events: int
    verdict: str
    clickhouse_url: str
    reader: tuple[str, str]
    gateway_url: str
    board_url: str
    env: str


QueryResults = Mapping[str, Sequence[Mapping[str, Any]]]
"""The rows of each query beside this file, by its name."""


def run_queries(warehouse: Warehouse, end: datetime) -> QueryResults:
    """Raises httpx.HTTPError."""
    end_parameter = {"end": end.strftime("%Y-%m-%d %H:%M:%S")}
    queries = {
        "bands": {},
        "at_risk": end_parameter,
        "predicted": end_parameter,
        "alerts": {},
        "outcomes": end_parameter,
        "counts": {},
    }
    return {name: warehouse.query(name, **parameters) for name, parameters in queries.items()}


def show(console: Console, results: QueryResults, facts: DemoFacts) -> None:
    console.print("\nHealth is 0 (worst) to 100. Risk is the probability of no contact in 30 days.\n", highlight=False)
    for name, (title, columns) in TABLES.items():
        console.print(
            _table(title, [{label: of(row) for label, of in columns.items()} for row in results[name]], columns)
        )
    pair = next((row["relationship"] for row in results["at_risk"]), "PAIR")
    for line in _facts(results["counts"][0], facts, pair):
        console.print(
            line, soft_wrap=True, markup=False, highlight=False
        )  # soft-wrapped, so that commands can be copied


def _facts(counts: Mapping[str, Any], facts: DemoFacts, pair: str) -> Sequence[str]:
    user, password = facts.reader
    same = "equal" if counts["accepted"] == counts["rows"] else "DIFFERENT"
    return [
        f"Events: {facts.new_events:,} new; {counts['accepted']:,} accepted, {counts['rows']:,} stored: {same}",
        "Every score, computed once more from the events alone:",
        f"  {facts.verdict}",
        "",
        "Next, in a browser:",
        # Every page, the most instructive first.
        f"  {facts.board_url}  the board: what is open, and whom to call",
        f"  {facts.gateway_url}/docs  every event that can be sent, and what it moves",
        "",
        "In a second terminal, in this folder:",
        f"  . {facts.env}; PATH=$PWD/.venv/bin:$PATH",
        "  rapport warehouse queries              the queries that come with Rapport",
        "  rapport warehouse queries worst_pairs  one of them",
        f"  {f'rapport scoring explain {pair}':38} why its score is what it is",
        "",
        "The numbers, for any tool that speaks to ClickHouse:",
        f"  {facts.clickhouse_url}, login {user}, password {password}",
        "",
        "Everything keeps running until Ctrl-C. The data stays, and the next demo",
        "continues from here.",
    ]


def _table(title: str, rows: Sequence[Mapping[str, Any]], columns: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        number = bool(rows) and isinstance(rows[0][column], int | float)
        table.add_column(column.replace("_", " "), justify="right" if number else "left")
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    return table
