"""Alerts against a naive model: rows, time, corrections, late history, people and restarts in any order."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from schemas.alert_commands import AlertCommand, AlertSilence
from schemas.alerts import Alert, Delivery
from services.notify.domain.evaluation import Evaluator
from services.notify.domain.guards import Frozen, source_digest
from services.notify.domain.handling import UNTOUCHED, ActAdmitted, apply_act
from services.notify.domain.ids import ProgrammeKey, alert_key, dedup_key
from services.notify.domain.lifecycle import OPEN
from services.notify.domain.pipeline import Decision
from services.notify.domain.watch import Watch
from services.notify.domain.working_hours import WorkCalendar
from tests.notify.building import (
    WITHOUT_FALLS,
    DecisionSetup,
    Pair,
    alone,
    clock,
    day,
    decide_transition,
    digests,
    late_trigger,
    new_alerts,
    run_round,
)
from tests.notify.test_any_batches import Saved

FEED = "/calendar"
STEADY, MESSY = Pair("steady"), Pair("messy", defaults={"sources": (FEED,)})
SPEAKS: Mapping[ProgrammeKey, Mapping[str, Frozen]] = {}
HEALTH = st.sampled_from([15.0, 25.0, 26.0, 38.0, 40.0, 41.0, 50.0, 51.0, 90.0])
ENDS = {"resolved"}
HOLDS = {40: 24, 25: 6}
CLEAR_HOLD = 48


class Naive:
    """health_low of one pair, hour by hour: for how many active hours has it been so?"""

    def __init__(self) -> None:
        self.health: float | None = None
        self.paused = False
        self.low = {40: 0, 25: 0}
        self.clear = 0
        self.urgency: str | None = None
        self.heard: list[tuple[str, int]] = []

    def hour(self, now: int) -> None:
        """An hour has passed: what is due takes effect."""
        self._begin_with_the_last_row()
        if self.health is not None and not self.paused:
            self.low = {level: hours + 1 if self.health <= level else 0 for level, hours in self.low.items()}
            self.clear = self.clear + 1 if self.health > 50 else 0
        worst = "P2" if self.low[25] >= HOLDS[25] else "P3" if self.low[40] >= HOLDS[40] else None
        if self.urgency is not None and self.clear >= CLEAR_HOLD:
            self.urgency = None
            self.heard.append(("resolved", now))
        elif worst is not None and (self.urgency is None or (self.urgency, worst) == ("P3", "P2")):
            self.heard.append(("fired" if self.urgency is None else "escalated", now))
            self.urgency = worst

    def row(self, health: float, paused: bool) -> None:  # noqa: FBT001 (a row says both)
        """Of several rows of one instant the last one counts."""
        self.health, self.paused = health, paused

    def _begin_with_the_last_row(self) -> None:
        if self.health is not None:
            self.low = {level: hours if self.health <= level else 0 for level, hours in self.low.items()}
            self.clear = self.clear if self.health > 50 else 0


class Alerts(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.alerts, self.saved, self.naive = new_alerts("wall"), Saved(), Naive()
        self.now, self.position = 0, 1
        self.silences: list[AlertSilence] = []
        self.silent = SPEAKS
        self.decisions: list[Decision] = []
        self.deliveries: list[Delivery] = []

    @rule(health=HEALTH, paused=st.integers(0, 9))
    def a_row_of_the_steady_pair(self, health: float, paused: int) -> None:
        self._row(STEADY, health=health, status="paused" if paused == 0 else "active")
        self.naive.row(health, paused == 0)

    @rule(health=HEALTH)
    def a_row_of_the_messy_pair(self, health: float) -> None:
        self._row(MESSY, health=health)

    @rule(health=HEALTH, back=st.integers(1, 200))
    def a_correction_in_time(self, health: float, back: int) -> None:
        self.position += 1
        self._take(MESSY.corrected(self._at(-back), self.position, health=health))
        self._row(MESSY, health=health)

    @rule(health=HEALTH, back=st.integers(1, 200))
    def history_told_late(self, health: float, back: int) -> None:
        self.position += 1
        self._take(MESSY.corrected(self._at(-back), self.position, health=health))
        self._row(MESSY, health=health, trigger=late_trigger(self._at(-back - 48), self._at(0)))

    @rule()
    def the_messy_pair_is_known_no_more(self) -> None:
        """Missing data never resolves."""
        before = len(self.decisions)
        self.position += 1
        self._take(MESSY.changed(self._at(0), self.position, deleted=True))

        assert "resolved" not in {d.event.data.transition for d in self.decisions[before:]}

    @rule(hours=st.integers(1, 60))
    def time_goes_on(self, hours: int) -> None:
        for _ in range(hours):
            self.now += 1
            self.naive.hour(self.now)
            self._take(clock(self._at(0)))

    @rule(pair=st.sampled_from([STEADY, MESSY]), act=st.sampled_from(["acknowledge", "snooze", "unacknowledge"]))
    def somebody_acts(self, pair: Pair, act: str) -> None:
        watch = self._watch(pair)
        if watch is None or "health_low" not in watch.rules:
            return
        state = watch.rules["health_low"]
        given: dict[str, Any] = {"kind": act}
        if act == "snooze":
            given |= {"until": self._at(50), "wakes_on": "change"}
        about = {
            "subject": pair.relationship,
            "rule": "health_low",
            "dedup_key": dedup_key(alert_key(watch.subject, "health_low"), state.episode),
        }
        command = AlertCommand.model_validate(
            {"id": "c", "tenant": "acme", "by": "p", "at": self._at(0), "alert": about, "act": given}
        )
        before = watch.handling.get("health_low", UNTOUCHED)
        done = apply_act(before, command, watch.subject, WorkCalendar(), is_open=state.condition in OPEN)
        assert isinstance(done, ActAdmitted) == (state.condition in OPEN)
        if isinstance(done, ActAdmitted):
            self.alerts.set_handling(watch.subject.key, "health_low", done.handling)

    @rule(hours=st.integers(1, 100), relationship=st.sampled_from([None, "messy", "steady"]))
    def a_silence(self, hours: int, relationship: str | None) -> None:
        until = self._at(hours)
        named = f"s{len(self.silences)}"
        self.silences.append(
            AlertSilence(id=named, tenant="acme", relationship=relationship, by="p", since=self._at(0), until=until)
        )

    @rule()
    def the_source_of_the_messy_pair_falls_silent(self) -> None:
        self.silent = {("acme", "spruce"): {source_digest(FEED): Frozen(FEED, self._at(0))}}

        assert self.alerts.freeze(self.silent) == []

    @rule()
    def the_source_of_the_messy_pair_speaks_again(self) -> None:
        self.silent = SPEAKS
        around = DecisionSetup(silences=tuple(self.silences))
        self._keep([decide_transition(self.alerts, one, day(0), around) for one in self.alerts.freeze(SPEAKS)])

    @rule()
    def another_instance_takes_over(self) -> None:
        self.saved.write(self.alerts)
        self.alerts = self.saved.restored(Evaluator(WITHOUT_FALLS, "wall"))
        self.alerts.restore_silent(self.silent)

    @invariant()
    def the_steady_pair_is_told_as_the_naive_model_says(self) -> None:
        if not hasattr(self, "alerts"):
            return
        heard = [
            (alert.transition.replace("unstable", "fired"), (alert.at - day(0)) // timedelta(hours=1))
            for alert in self._transitions("steady")
            if alert.transition != "reminded"
        ]

        assert heard == self.naive.heard

    @invariant()
    def every_transition_goes_somewhere_or_says_why_not(self) -> None:
        for decision in getattr(self, "decisions", ()):
            assert decision.is_sent != bool(decision.event.data.not_sent)
            assert decision.event.data.decisions

    @invariant()
    def nobody_is_told_twice_and_whoever_heard_of_it_hears_of_its_end_once(self) -> None:
        if not hasattr(self, "alerts"):
            return
        assert max(Counter(d.delivery_id for d in self.deliveries).values(), default=1) == 1
        for pair in (STEADY, MESSY):
            told = Counter[str]()
            for decision in self.decisions:
                alert = decision.event.data
                if decision.event.subject == pair.relationship and alert.rule == "health_low" and decision.is_sent:
                    told[f"{alert.dedup_key} {'end' if alert.transition in ENDS else 'begin'}"] += 1
            closed = {a.dedup_key for a in self._transitions(pair.relationship) if a.transition in ENDS}
            for key in {name.split()[0] for name in told}:
                assert told[f"{key} end"] == (key in closed and told[f"{key} begin"] > 0)

    @invariant()
    def episodes_and_transitions_are_counted_without_a_gap(self) -> None:
        if not hasattr(self, "alerts"):
            return
        for pair in (STEADY, MESSY):
            found = self._transitions(pair.relationship)
            assert [alert.seq for alert in found] == list(range(1, len(found) + 1))
            fired = [alert.episode for alert in found if alert.transition in {"fired", "unstable"}]
            assert fired == list(range(1, len(fired) + 1))
            assert [alert.at for alert in found] == sorted(alert.at for alert in found)

    def _transitions(self, relationship: str) -> list[Alert]:
        events = [decision.event for decision in self.decisions]
        return [e.data for e in events if e.subject == relationship and e.data.rule == "health_low"]

    def _watch(self, pair: Pair) -> Watch | None:
        return self.alerts.watch(f"acme/{pair.relationship}")

    def _at(self, hours: int) -> datetime:
        return day(0) + timedelta(hours=self.now + hours)

    def _row(self, pair: Pair, **told: Any) -> None:  # noqa: ANN401
        self.position += 1
        self._take(pair.changed(self._at(0), self.position, **told))

    def _take(self, event: Any) -> None:  # noqa: ANN401
        found = run_round(self.alerts, event, DecisionSetup(silences=tuple(self.silences)))
        # None while inhibited.
        assert not (self.silent and "messy" in {decision.event.subject for decision in found})
        self._keep(found)

    def _keep(self, found: list[Decision]) -> None:
        self.decisions += found
        self.deliveries += alone(found) + digests(found)


TestAlerts = Alerts.TestCase
