"""Short drills of the Faust service on the real broker."""

import time

from tests.receiver import eventually
from tests.scoring.flow.comparison import compare
from tests.scoring.flow.harness import Scoring
from tests.scoring.flow.long_log import end_of, keyed, long_log


def test_probe(scoring: Scoring) -> None:
    events = long_log(1, 24)
    print(len(events), events[0].recordedtime, end_of(events))
    scoring.feed(keyed(events))
    scoring.reach(end_of(events))
    t = time.monotonic()
    service = scoring.start()
    eventually(service.is_ready)
    print("ready", time.monotonic() - t)
    scoring.await_clock(end_of(events))
    print("done", time.monotonic() - t)
    print(service.end())
    t = time.monotonic()
    print(compare(scoring), time.monotonic() - t)
    t = time.monotonic()
    service = scoring.start()
    eventually(service.is_ready)
    print("restart ready", time.monotonic() - t)
    print(service.end(9))
    t = time.monotonic()
    service = scoring.start()
    eventually(service.is_ready)
    print("restart after kill ready", time.monotonic() - t)
    print(service.log.read_text()[:3000])
    print(service.end())
    for s in scoring.services:
        print(s.errors(), s.said("run_applied"), s.said("rewound"))
