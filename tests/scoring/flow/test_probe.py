import time, pytest, signal, subprocess
from tests.receiver import eventually
from tests.scoring.flow.comparison import compare, watermarks
from tests.scoring.flow.harness import Scoring
from tests.scoring.flow.long_log import end_of, keyed, long_log
from services.runtime.kafka import Producer
from services.scoring.domain.changelog import Entry


def tail(s, n=1500):
    print("LOG", s.log.read_text()[-n:])


def test_raise(scoring: Scoring) -> None:
    events = long_log(1, 24)
    scoring.feed(keyed(events))
    scoring.reach(end_of(events))
    s = scoring.start(DRILL_FAULT="raise:5")
    t = time.monotonic()
    try:
        print("rc", s.process.wait(20), time.monotonic() - t)
    except subprocess.TimeoutExpired:
        print("HANGS")
    tail(s, 6000)
    print([l[:300] for l in s.errors()])


def test_poison(scoring: Scoring) -> None:
    p = Producer(scoring.settings)
    p.send(scoring.names.state, Entry("t/x", 1, None).key, bytes([99]) + bytes(80), partition=1).get(10)
    p.close()
    s = scoring.start()
    t = time.monotonic()
    try:
        print("rc", s.process.wait(20), time.monotonic() - t)
    except subprocess.TimeoutExpired:
        print("HANGS")
    tail(s, 4000)


def test_garbage_key(scoring: Scoring) -> None:
    p = Producer(scoring.settings)
    p.send(scoring.names.state, b"abc", b"x", partition=1).get(10)
    p.close()
    s = scoring.start()
    t = time.monotonic()
    try:
        print("rc", s.process.wait(20), time.monotonic() - t)
    except subprocess.TimeoutExpired:
        print("HANGS")
    tail(s, 4000)


def test_foreign_member(scoring: Scoring) -> None:
    from services.runtime.kafka import Reader

    r = Reader(scoring.settings, scoring.names.group)
    r.subscribe([scoring.names.events])
    end = time.monotonic() + 3
    while time.monotonic() < end:
        r.poll(0.5)
    s = scoring.start()
    t = time.monotonic()
    rc = None
    while time.monotonic() < t + 40 and rc is None:
        r.poll(0.5)
        rc = s.process.poll()
    print("rc", rc, time.monotonic() - t)
    tail(s, 4000)


def test_stopped(scoring: Scoring) -> None:
    events = long_log(1, 24)
    scoring.feed(keyed(events))
    scoring.reach(end_of(events))
    s = scoring.start()
    scoring.await_clock(end_of(events))
    s.process.send_signal(signal.SIGSTOP)
    time.sleep(6)
    s.process.send_signal(signal.SIGCONT)
    t = time.monotonic()
    try:
        print("rc", s.process.wait(12), time.monotonic() - t)
    except subprocess.TimeoutExpired:
        print("LIVES", s.is_ready())
    tail(s, 3000)
