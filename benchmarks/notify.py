"""Measures how much notify decides per CPU second (90 days of 2,000 pairs on a virtual clock, with a restart every
tenth day) and what people receive; how many webhooks it posts per second to a receiver in its own process; and, with
the product's own processes, the time from an event to its webhook."""

import json
import statistics
import time
from datetime import datetime
from typing import Any

import click

from benchmarks.alert_latency import P50_AIM, P99_AIM, measure_latency
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
    """Raises an AssertionError if anybody was notified in quiet hours, twice, or of fewer alerts than were grouped."""
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
        "messages": {name: len(found.office.messages(name)) for name in ("hook", "team", "owners")},
        "messages_a_day": _a_day([moment for moment, message in found.office.sent if message.recipient == "owners"]),
    }
    figures["webhooks_per_second"] = round(webhooks / _posted(webhooks))
    if requests:
        latency = measure_latency(pairs, requests)
        figures["from_event_to_webhook_ms"] = {
            "p50": round(latency.p50),
            "p99": round(latency.p99),
            "most": round(latency.most),
            "p50_until_scored": round(latency.scored),
            "p50_until_decided": round(latency.decided),
            "aims_met": latency.p50 <= P50_AIM and latency.p99 <= P99_AIM,
        }
        figures["rows_per_cpu_second_of_the_process"] = round(latency.rows_per_cpu_second)
    click.echo(json.dumps(figures, indent=None if as_json else 2))


def _posted(count: int) -> float:
    """Return the seconds until that many deliveries, each of its own alert, have arrived and their outcomes
    are stored."""
    planned = [episode("webhook", "hook", f"pair-{number}")[0] for number in range(count)]
    with receiving() as receiver, running(webhook("hook", receiver.url)) as found:
        began = time.monotonic()
        found.step(planned)
        found.until(lambda: found.states("hook").count("delivered") == count, seconds=300)
        return time.monotonic() - began


def _a_day(moments: list[datetime]) -> dict[str, float]:
    """Messages per day to one person, on days with any."""
    days = [moment.date() for moment in moments]
    counts = [days.count(day) for day in set(days)]
    return {"median": statistics.median(counts), "most": max(counts)} if counts else {}


if __name__ == "__main__":
    main()
