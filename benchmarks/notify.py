"""What notify decides in a CPU second: 90 days of 2,000 pairs on a virtual clock, through the rounds of the service,
with a restart every tenth day, and what people are told of it; how many webhooks it posts a second, to a receiver in
its own process; and, through the product's own processes, how long it takes from an event to its webhook."""

import json
import statistics
import time
from datetime import datetime
from typing import Any

import click

from benchmarks.arrivals import P50_AIM, P99_AIM, measured
from services.runtime.gc_tuning import freeze_heap
from tests.notify.dispatching import running, webhook
from tests.notify.sending import episode
from tests.notify.virtual_program import check, ran
from tests.receiver import receiving


@click.command()
@click.option("--pairs", type=click.IntRange(1), default=2_000, show_default=True)
@click.option("--days", type=click.IntRange(1), default=90, show_default=True, help="Each pair has a score a day.")
@click.option("--webhooks", type=click.IntRange(1), default=2_000, show_default=True)
@click.option("--requests", type=click.IntRange(0), default=1_000, show_default=True, help="For support; 0: no stack.")
@click.option("--json", "as_json", is_flag=True, help="One document.")
def main(*, pairs: int, days: int, webhooks: int, requests: int, as_json: bool) -> None:
    """Ends with an AssertionError where somebody was told in quiet hours, twice, or of less than was folded."""
    freeze_heap()  # as the service does
    began, cpu = time.monotonic(), time.process_time()
    found = ran(pairs, days)
    spent, seconds = time.process_time() - cpu, time.monotonic() - began
    check(found.office)
    figures: dict[str, Any] = {
        "rows": found.rows,
        "transitions": len(found.office.alerts),
        "cpu_seconds": round(spent, 1),
        "seconds": round(seconds, 1),
        "rows_per_cpu_second": round(found.rows / found.spent),
        "with_making_the_rows": round(found.rows / spent),
        "messages": {name: len(found.office.told(name)) for name in ("hook", "team", "owners")},
        "messages_a_day": _a_day([moment for moment, message in found.office.sent if message.recipient == "owners"]),
    }
    figures["webhooks_per_second"] = round(webhooks / _posted(webhooks))
    if requests:
        arrivals = measured(pairs, requests)
        figures["from_event_to_webhook_ms"] = {
            "p50": round(arrivals.p50),
            "p99": round(arrivals.p99),
            "most": round(arrivals.most),
            "p50_until_scored": round(arrivals.scored),
            "p50_until_decided": round(arrivals.decided),
            "aims_met": arrivals.p50 <= P50_AIM and arrivals.p99 <= P99_AIM,
        }
        figures["rows_per_cpu_second_of_the_process"] = round(arrivals.rows_per_cpu_second)
    click.echo(json.dumps(figures, indent=None if as_json else 2))


def _posted(count: int) -> float:
    """Seconds until so many deliveries, each of an alert of its own, have arrived and their outcomes are known."""
    planned = [episode("webhook", "hook", f"pair-{number}")[0] for number in range(count)]
    with receiving() as receiver, running(webhook("hook", receiver.url)) as found:
        began = time.monotonic()
        found.step(planned)
        found.until(lambda: found.states("hook").count("delivered") == count, seconds=300)
        return time.monotonic() - began


def _a_day(moments: list[datetime]) -> dict[str, float]:
    """To one person, on days with any."""
    days = [moment.date() for moment in moments]
    counts = [days.count(day) for day in set(days)]
    return {"median": statistics.median(counts), "most": max(counts)} if counts else {}


if __name__ == "__main__":
    main()
