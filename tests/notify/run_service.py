"""`rapport notify serve` on the topics of one test: python run_service.py PREFIX."""

import sys

from services.notify.__main__ import run
from services.notify.names import Names
from services.notify.settings import NotifySettings
from services.runtime.settings import load


def names(prefix: str) -> Names:
    return Names(
        scores=f"{prefix}.scores",
        alerts=f"{prefix}.alerts",
        alert_state=f"{prefix}.alert-state",
        deliveries=f"{prefix}.deliveries",
        identity=prefix,
    )


if __name__ == "__main__":
    run(load(NotifySettings, "notify"), names(sys.argv[1]))
