"""`rapport warehouse serve` on the topics of one test: python run_service.py PREFIX."""

import sys

from services.runtime.settings import load
from services.warehouse.__main__ import run
from services.warehouse.domain.target import TARGETS, Feed
from services.warehouse.settings import WarehouseSettings


def feed(prefix: str) -> Feed:
    """The topics of the test, each named by the last word of the real one."""
    return Feed(prefix, {f"{prefix}.{topic.name.rpartition('.')[2]}": target for topic, target in TARGETS.items()})


if __name__ == "__main__":
    run(load(WarehouseSettings, "warehouse"), feed(sys.argv[1]))
