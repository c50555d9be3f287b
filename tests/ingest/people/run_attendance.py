"""The attendance worker as a separate process: python run_attendance.py BOOTSTRAP EPOCH INSTANCE. It prints "ready"."""

import sys
import threading
import time

from services.runtime import log as logging
from tests.ingest.people.harness import OwnLog

if __name__ == "__main__":
    bootstrap, epoch, instance = sys.argv[1:]
    log = OwnLog(bootstrap, clock="log", epoch=int(epoch), instance=instance)
    logging.configure(log.settings, "ingest")
    with log.worker() as worker:
        while worker.condition.state != "ready":
            time.sleep(0.1)
        print("ready", flush=True)  # noqa: T201 (the test waits for it)
        threading.Event().wait()
