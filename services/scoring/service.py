"""The composition root of `rapport scoring serve`: one process, from its start until its end."""

import os
import signal
import sys

from services.runtime import health as health_
from services.runtime import log
from services.runtime.gc_tuning import raise_thresholds
from services.runtime.kafka import KafkaError, partition_count
from services.scoring.flow.faust.application import Application, execute
from services.scoring.flow.settings import ScoringSettings
from services.scoring.topics import Topics


def run(settings: ScoringSettings, topics: Topics) -> None:
    """Exits with 0 after a signal, with 1 and the reason after anything unexpected."""
    # Until Faust installs its own handler there is nothing to complete.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    log.configure(settings, "scoring")
    raise_thresholds()
    health = health_.Health()
    with health_.serve_health(health, settings.host, settings.scoring_health_port):
        try:
            execute(Application(settings, health, topics, _partitions(settings, topics, health)))
        except KafkaError as problem:
            log.get(__name__).error("kafka_not_usable", reason=str(problem))
            sys.exit(1)


def _partitions(settings: ScoringSettings, topics: Topics, health: health_.Health) -> int:
    """Wait while the broker is unavailable: ending and being restarted would look like a fault of ours, and supervisors
    give up on those. Raises KafkaError when the broker is available and the log is not."""
    while True:
        try:
            # Each client retries for a while, at growing intervals, before it gives up.
            return partition_count(settings, topics.events)
        except KafkaError as away:
            if not away.retriable:
                raise
            health.report("starting", f"waits for the broker: {away}")
            log.get(__name__).warning("broker_away", reason=str(away))
