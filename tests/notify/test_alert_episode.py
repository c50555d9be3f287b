"""What an alert says now is made once, and anew when what it rests on is another."""

import gc
from dataclasses import replace
from weakref import ref

from schemas.rule_sets import DEFAULTS
from services.notify.domain.alert_episode import CurrentAlerts, episodes_of
from services.notify.domain.decisions import alert_changed
from services.notify.domain.watch import Watch
from tests.notify.building import Pair, apply_event, clock, day, new_alerts

PAIR = Pair()


def test_what_an_alert_says_is_made_again_when_its_state_its_rule_or_what_was_sent_is_another() -> None:
    partition, told = new_alerts(), CurrentAlerts()
    (fired,) = apply_event(partition, PAIR.changed(day(0), health=38.0), clock(day(1)))
    last = alert_changed(fired, day(1)).data
    known = episodes_of(_watch(partition.watch("acme/4F2")))[0]
    other = {**DEFAULTS, "health_low": replace(DEFAULTS["health_low"])}

    first = told.of(known, DEFAULTS, last)
    again = told.of(known, DEFAULTS, last)
    under_others = told.of(known, other, last)
    apply_event(partition, PAIR.changed(day(2), 2, health=30.0))
    later = told.of(episodes_of(_watch(partition.watch("acme/4F2")))[0], other, last)

    assert first is not None
    assert first is again
    assert under_others == first
    assert under_others is not first
    assert later is not None
    assert later.reading is not None
    assert (later.reading.health, later.dedup_key) == (30.0, first.dedup_key)
    assert told.of(known, other, None) is not under_others


def test_nothing_is_kept_of_an_alert_that_nobody_holds() -> None:
    partition, told = new_alerts(), CurrentAlerts()
    apply_event(partition, PAIR.changed(day(0), health=38.0), clock(day(1)))
    known = episodes_of(_watch(partition.watch("acme/4F2")))[0]
    said = told.of(known, DEFAULTS, None)
    assert said is not None
    gone = ref(known)

    del known, said
    gc.collect()

    assert gone() is None


def _watch(found: Watch | None) -> Watch:
    assert found is not None
    return found
