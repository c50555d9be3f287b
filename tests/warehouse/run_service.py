"""`rapport warehouse serve` on the topics of one test: python run_service.py PREFIX."""

import sys

from services.runtime.settings import load
from services.warehouse.__main__ import run
from services.warehouse.domain.target import ALERT_LOG, EVENT_LOG, SCORE_HISTORY, Feed
from services.warehouse.settings import WarehouseSettings


def feed(prefix: str) -> Feed:
    targets = {f"{prefix}.events": EVENT_LOG, f"{prefix}.scores": SCORE_HISTORY, f"{prefix}.alerts": ALERT_LOG}
    return Feed(prefix, targets)


if __name__ == "__main__":
    run(load(WarehouseSettings, "warehouse"), feed(sys.argv[1]))
