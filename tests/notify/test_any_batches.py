"""The same inputs give the same alerts and ids, however they are cut into batches and wherever state is restored."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from schemas.rules import RULES
from schemas.scores import ScoreEvent
from services.notify.domain import record
from services.notify.domain.evaluation import Evaluator, Transitioned
from services.notify.domain.ids import Destination
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.record import ClockRecord, WatchRecord, WatchWriter
from services.notify.domain.watch import Watch
from tests.notify.building import WITHOUT_FALLS, DecisionSetup, Pair, clock, day, late_trigger, new_alerts, run_round

LEVELLED = ("health_low", "disengaging")
PAIRS = tuple(Pair(relationship=name) for name in ("a", "b"))
AROUND = DecisionSetup((Destination("log", "log"), Destination("webhook", "https://example.org/hook")))
LEVELS = st.sampled_from([0.0, 24.9, 25.0, 25.1, 39.0, 40.0, 41.0, 50.0, 51.0, 90.0])
RISKS = st.sampled_from([0.1, 0.549999, 0.55, 0.6, 0.7, 0.9])

Step = tuple[str, Pair, float, int, dict[str, object]]


@st.composite
def steps(draw: st.DrawFn) -> Step:
    kind = draw(st.sampled_from(["changed"] * 6 + ["corrected"] * 3 + ["clock"]))
    told: dict[str, object] = {
        "health": draw(LEVELS),
        "risk": draw(RISKS),
        "status": draw(st.sampled_from(["active"] * 8 + ["paused", "ended"])),
        "confidence": draw(st.sampled_from([0.6, 0.6, 0.2])),
        "mode": draw(st.sampled_from(["live"] * 6 + ["heal", "replay"])),
        "deleted": draw(st.integers(0, 9)) == 0,
        "trigger": draw(st.sampled_from([None, None, late_trigger(day(-3), day(0))])),
    }
    return kind, draw(st.sampled_from(PAIRS)), draw(st.floats(-3, 30)), draw(st.integers(0, 1)), told


def events(drawn: Sequence[Step]) -> list[ScoreEvent]:
    """Time goes on, for the most part; the position of a pair never falls by more than one."""
    made: list[ScoreEvent] = []
    now, position = day(20), 1
    for kind, pair, back_or_on, advance, told in drawn:
        now += max(timedelta(0), timedelta(hours=back_or_on))
        position += advance
        as_of = now + min(timedelta(0), timedelta(days=back_or_on))
        match kind:
            case "changed":
                made.append(pair.changed(as_of, position, **told))
            case "corrected":
                made.append(pair.corrected(as_of - timedelta(hours=5), position, **told))
            case _:
                made.append(clock(now))
    return [*made, clock(now + timedelta(days=5))]


def everything(partition_alerts: PartitionAlerts, batch: Sequence[ScoreEvent]) -> list[str]:
    """Every alert and delivery that comes of a batch, as the bytes that are written down."""
    decisions = [decision for event in batch for decision in run_round(partition_alerts, event, AROUND)]
    return [written.model_dump_json() for one in decisions for written in (one.event, *one.deliveries)]


class Saved:
    """The state topics: the last record of every key."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        # Of fewer than there are pairs, so that all that may be kept or not is tried.
        self._writer = WatchWriter(most=1)

    def write(self, partition_alerts: PartitionAlerts) -> None:
        touched = partition_alerts.drain_changes()
        for key, watch in touched.watches.items():
            self.records[key] = self._writer.dump(key, watch)
            assert self.records[key] == record.dump(WatchRecord(watch=watch))
        if touched.clock is not None:
            self.records["clock"] = record.dump(ClockRecord(clock=touched.clock))

    def restored(self, evaluator: Evaluator) -> PartitionAlerts:
        read = {key: record.load(value) for key, value in self.records.items()}
        watches: dict[str, Watch] = {key: r.watch for key, r in read.items() if isinstance(r, WatchRecord)}
        clocks = [r.clock for r in read.values() if isinstance(r, ClockRecord)]
        return PartitionAlerts(evaluator, watches, clocks[0] if clocks else None)


@given(
    drawn=st.lists(steps(), max_size=60),
    cuts=st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=8),
    mode=st.sampled_from(["wall", "log"]),
)
def test_any_cut_into_batches_with_state_restored_between_them_gives_the_same(
    drawn: list[Step], cuts: list[tuple[int, bool]], mode: str
) -> None:
    log = events(drawn)
    evaluator = Evaluator(RULES, "wall" if mode == "wall" else "log")
    at_once = everything(new_alerts(evaluator.clock, RULES), log)

    partition_alerts, saved, found = new_alerts(evaluator.clock, RULES), Saved(), list[str]()
    bounds = sorted({0, len(log), *(min(cut, len(log)) for cut, _ in cuts)})
    restores = {min(cut, len(log)) for cut, restore in cuts if restore}
    for begin, end in pairwise(bounds):
        if begin in restores:
            partition_alerts = saved.restored(evaluator)
        found += everything(partition_alerts, log[begin:end])
        saved.write(partition_alerts)

    assert sorted(found) == sorted(at_once)
    ids = [text.split('"id":"')[1].split('"')[0] for text in found if '"alert.changed' in text]
    assert len(ids) == len(set(ids))


@given(drawn=st.lists(steps(), max_size=60))
def test_a_crash_before_the_commit_repeats_the_batch_with_the_same_ids(drawn: list[Step]) -> None:
    log = events(drawn)
    evaluator, saved, half = Evaluator(RULES, "log"), Saved(), len(log) // 2
    partition_alerts = saved.restored(evaluator)
    everything(partition_alerts, log[:half])
    saved.write(partition_alerts)
    lost = everything(partition_alerts, log[half:])

    again = everything(saved.restored(evaluator), log[half:])

    assert again == lost


@given(drawn=st.lists(steps(), max_size=60))
def test_episodes_open_and_close_in_turn(drawn: list[Step]) -> None:
    partition_alerts = new_alerts(rules=RULES)
    transitioned = [h for event in events(drawn) for h in partition_alerts.apply(event)]

    for pair in PAIRS:
        for rule in RULES:
            turns = [
                (h.transition.name, h.transition.episode.episode, h.transition.at)
                for h in transitioned
                if h.watch.subject.id == pair.relationship and h.transition.rule == rule
            ]
            _assert_in_turn(turns)


IN_THE_GAP = st.tuples(
    st.sampled_from([0.0, 25.0, 40.0, 40.000001, 45.0, 50.0]), st.sampled_from([0.55, 0.6, 0.699999, 0.7, 0.9])
)
"""Of health and risk: bad, or not yet good enough to clear."""


@given(rows=st.lists(st.tuples(IN_THE_GAP, st.floats(0.01, 200)), max_size=80), restores=st.sets(st.integers(0, 80)))
def test_what_goes_up_and_down_within_the_gap_is_one_episode_at_most_and_never_resolves(
    rows: list[tuple[tuple[float, float], float]], restores: set[int]
) -> None:
    partition_alerts, saved, now = new_alerts(), Saved(), day(0)
    transitioned = list[Transitioned]()
    for number, ((health, risk), hours) in enumerate(rows):
        now += timedelta(hours=hours)
        row = PAIRS[0].changed(now, health=health, risk=risk, last_contact=now)
        transitioned += [*partition_alerts.apply(row), *partition_alerts.apply(clock(now))]
        if number in restores:
            saved.write(partition_alerts)
            partition_alerts = saved.restored(Evaluator(WITHOUT_FALLS, "log"))
    transitioned += partition_alerts.apply(clock(now + timedelta(days=30)))

    names = Counter((one.transition.rule.name, one.transition.name) for one in transitioned)
    assert {(rule, name) for rule, name in names if rule in LEVELLED and name != "fired"} <= {
        ("health_low", "escalated")
    }
    assert max((names[rule, name] for rule in LEVELLED for name in ("fired", "escalated")), default=0) <= 1


def _assert_in_turn(turns: Sequence[tuple[str, int, datetime]]) -> None:
    names = "".join(name[0] for name, _, _ in turns).replace("u", "f")
    left = names.replace("fer", "").replace("fr", "")
    assert left in {"", "f", "fe"}
    episodes = [episode for name, episode, _ in turns if name in {"fired", "unstable"}]
    assert episodes == list(range(1, len(episodes) + 1))
    instants = [at for _, _, at in turns]
    assert instants == sorted(instants)
