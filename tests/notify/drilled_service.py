"""`rapport notify serve` that kills itself at a failpoint of delivery: python drilled_service.py PREFIX POINT NTH GATE.
Nothing happens before the file GATE exists; then the process dies the NTH time that it comes to POINT."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.alerts import Delivery
from services.notify import service
from services.notify.__main__ import run
from services.notify.domain.deliveries import Verdict
from services.notify.flow.dispatch import Dispatch
from services.notify.flow.journal import Entry, Journal
from services.notify.flow.senders import DestinationSender
from services.notify.settings import NotifySettings
from services.runtime.kafka import Producer
from services.runtime.settings import load
from tests.notify.run_service import names

POINTS = {
    "decided": "decided, nothing of it written",
    "in transaction": "all of it written, not committed",
    "committed": "committed, nothing handed to a sender",
    "before webhook": "started, its request not begun",
    "before slack": "started, its request not begun",
    "before smtp": "started, its dialogue not begun",
    "after webhook": "answered, the answer not looked at",
    "after slack": "answered, the answer not looked at",
    "after smtp": "answered, the answer not looked at",
    "settled": "outcomes settled, not written",
    "outcomes in transaction": "outcomes written, not committed",
    "taking over": "the predecessor fenced, its state half read",
}
"""Where the process dies by itself. While a receiver holds a request, it is the receiver who kills."""


def fail_at(point: str, nth: int, gate: Path) -> None:
    """Arms one point of this process."""
    count = 0

    def reached(name: str) -> None:
        nonlocal count
        if name != point or not gate.exists():
            return
        count += 1
        if count >= nth:
            os.kill(os.getpid(), signal.SIGKILL)

    _around_the_journal(reached)
    _around_senders(reached)

    restore_state = vars(service)["restore_state"]

    def restored(*given: Any) -> Any:  # noqa: ANN401
        found = restore_state(*given)
        reached("taking over")
        return found

    vars(service)["restore_state"] = restored


def _around_the_journal(reached: Callable[[str], None]) -> None:
    write, commit, send = Journal.write, Producer.commit, Dispatch.send
    entries: list[Entry] = []

    def written(journal: Journal, entry: Entry) -> None:
        entries[:] = [entry]
        if decides(entry):
            reached("decided")
        if settles(entry):
            reached("settled")
        write(journal, entry)

    def committed(producer: Producer, *given: Any) -> None:  # noqa: ANN401
        if decides(entries[0]):
            reached("in transaction")
        if settles(entries[0]):
            reached("outcomes in transaction")
        commit(producer, *given)

    def sent(dispatch: Dispatch, deliveries: list[Delivery]) -> None:
        if deliveries:
            reached("committed")
        send(dispatch, deliveries)

    Journal.write, Producer.commit, Dispatch.send = written, committed, sent  # type: ignore[method-assign,assignment]


def _around_senders(reached: Callable[[str], None]) -> None:
    send = DestinationSender._verdict

    async def attempted(sender: DestinationSender, delivery: Delivery) -> Verdict:
        reached(f"before {delivery.channel}")
        verdict = await send(sender, delivery)
        reached(f"after {delivery.channel}")
        return verdict

    DestinationSender._verdict = attempted  # type: ignore[method-assign,assignment]


def decides(entry: Entry) -> bool:
    return any(event.type == "mentoring.alert.changed.v1" for event in entry.events)


def settles(entry: Entry) -> bool:
    return any(delivery.state == "delivered" and delivery.channel != "log" for delivery in entry.deliveries)


if __name__ == "__main__":
    _, prefix, at, times, file = sys.argv
    fail_at(at, int(times), Path(file))
    run(load(NotifySettings, "notify"), names(prefix), service.serve)
