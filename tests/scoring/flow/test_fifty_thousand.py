"""Everything at once, run by `make drills`: 50,000 events in any order within 25 days, some of them twice, through
workers that die, stop and join, into ClickHouse; then 500 facts that come 400 days late, and a heal."""

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from random import Random
from statistics import quantiles

import pytest

from deploy.local.clickhouse import LocalClickHouse
from schemas.events import OfRelationship
from schemas.primitives import to_micros
from services.scoring.domain import layout
from services.scoring.domain.facts import FullHistory
from services.scoring.domain.layout import Enrolment, RelationshipState
from services.scoring.domain.memory import trimmed
from services.scoring.flow.heal import HealEnvironment, heal
from services.scoring.flow.log_reading import stored
from tests.receiver import eventually
from tests.scoring import building as b
from tests.scoring.flow.comparison import compare_states
from tests.scoring.flow.harness import PARTITIONS, Scoring, Service
from tests.scoring.flow.long_log import end_of, keyed
from tests.scoring.flow.shuffled import Life, shuffled
from tests.scoring.flow.test_drills import share, stops_well
from tests.scoring.flow.with_warehouse import storing, table_of, truth_of

pytestmark = [pytest.mark.drill, pytest.mark.timeout(2400)]

RELATIONSHIPS, EACH = 1_000, 50
SPAN_DAYS = 300
LIFE = Life(EACH, 60)
LATE_FACTS = RELATIONSHIPS * EACH // 100
LATE = timedelta(days=400)
WITHIN = 1200
FAST = {"DRILL_RUN_LENGTH": "500", "RAPPORT_SCORING_SESSION_SECONDS": "15"}
"""The usual session: this drill keeps the machine so busy that a short one passes by itself."""


@pytest.fixture
def environment(scoring: Scoring, migrated_clickhouse: LocalClickHouse) -> Iterator[HealEnvironment]:
    with storing(scoring, migrated_clickhouse) as found:
        yield found


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a measurement for the person running the drills."""

    def output(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n  {text}")

    return output


def test_50_000_shuffled_events_give_the_history_of_one_ordered_pass(
    scoring: Scoring, environment: HealEnvironment, say: Callable[[str], None]
) -> None:
    rng = Random(50_000)
    events = shuffled(rng, RELATIONSHIPS, SPAN_DAYS, LIFE)
    assert len({event.id for event in events}) == RELATIONSHIPS * EACH
    assert len(events) > 1.1 * RELATIONSHIPS * EACH, "some come twice"
    scoring.feed(keyed(events))
    scoring.reach(end_of(events))

    began = time.monotonic()
    workers = worked_through_mishaps(scoring, len(events))
    scoring.await_clock(end_of(events), WITHIN)
    say(f"{len(events)} records, 3 restarts and 2 rebalances: {time.monotonic() - began:.0f} s")

    histories, kept = compare_states(scoring)
    rows = table_of(environment)
    assert len(histories) == RELATIONSHIPS
    assert not kept.stale
    assert rows == truth_of(environment)
    say(f"{RELATIONSHIPS} states equal the ordered fold byte for byte, {sum(map(len, rows.values()))} rows the truth")
    say(f"states of {EACH} events in {LIFE.days:.0f} days: {sizes(list(kept.states.values()))}")
    say(f"states of 50 messages a day for 200 days: {sizes([busy(Random(number)) for number in range(20)])}")

    late = late_facts(rng, events)
    scoring.feed(keyed(late))
    scoring.reach(end_of(late))
    scoring.await_clock(end_of(late), WITHIN)
    was_stale = stored(scoring.settings, scoring.topics).stale
    assert len(was_stale) > LATE_FACTS / 3

    began = time.monotonic()
    report = heal(environment, (), lambda *_: None)

    say(f"{LATE_FACTS} facts came 400 days late: {len(report.healed)} healed in {time.monotonic() - began:.0f} s")
    assert report.healed.keys() == set(was_stale)
    assert not stored(scoring.settings, scoring.topics).stale
    assert table_of(environment) == truth_of(environment)
    for worker in workers:
        assert worker.end()[0] == 0


def worked_through_mishaps(scoring: Scoring, records: int) -> Sequence[Service]:
    """Workers are killed, joined by a second one, stopped, killed, and restarted each time. Returns the running
    ones."""
    first = scoring.start(RAPPORT_INSTANCE="first", **FAST)
    applied(scoring, records, records // 8)
    first.end(signal.SIGKILL)
    first = scoring.start(RAPPORT_INSTANCE="first", **FAST)
    applied(scoring, records, records // 4)
    second = scoring.start(RAPPORT_INSTANCE="second", **FAST)
    share(first, second)
    applied(scoring, records, records // 2)
    stops_well(first)
    first = scoring.start(RAPPORT_INSTANCE="first", **FAST)
    applied(scoring, records, 3 * records // 4)
    second.end(signal.SIGKILL)
    second = scoring.start(RAPPORT_INSTANCE="second", **FAST)
    share(first, second)
    return first, second


def applied(scoring: Scoring, total: int, records: int) -> None:
    """Return when this many are applied and every partition is assigned."""

    def done() -> bool:
        running = [service for service in scoring.services if service.process.poll() is None]
        lags = {number: values["lag"] for one in running for number, values in one.gauges().items() if "lag" in values}
        return len(lags) == PARTITIONS and total - sum(lags.values()) >= records

    eventually(done, WITHIN, f"{records} records")


def late_facts(rng: Random, events: Sequence[OfRelationship]) -> list[OfRelationship]:
    """New facts beside existing ones, recorded 400 days later."""
    chosen = sorted(rng.sample(events, LATE_FACTS), key=lambda event: event.time)
    return [
        b.message((to_micros(event.time) - b.micros(0)) / 86_400_000_000 + 0.01, rng.choice(b.SIDES)).model_copy(
            update={
                "id": f"late-{number}",
                "subject": event.subject,
                "partitionkey": event.partitionkey,
                "recordedtime": event.time + LATE,
            }
        )
        for number, event in enumerate(chosen)
    ]


def busy(rng: Random) -> RelationshipState:
    history = FullHistory()
    for number in range(50 * 200):
        event = b.message(number / 50, rng.choice(b.SIDES)).model_copy(update={"id": f"m{number}"})
        history.add(event, number)
    return RelationshipState(trimmed(history.facts), history.position, enrolment=Enrolment(0, "p"))


def sizes(states: Sequence[RelationshipState]) -> str:
    sizes = [len(layout.dump(state)) for state in states]
    cuts = quantiles(sizes, n=100)
    return f"median {cuts[49]:.0f}, p99 {cuts[98]:.0f} bytes"
