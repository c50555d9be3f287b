"""Where people's acts stand among the scores is journaled: whoever applies the same scores, with each act at its place,
gets the same alerts and the same handling, however the live run was cut into rounds and wherever it crashed."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from schemas.alert_commands import AlertCommand, AlertReference
from schemas.alerts import InputOffset
from schemas.scores import ScoreEvent
from services.notify.domain.ids import AlertSubject, alert_key, dedup_key
from services.notify.domain.preferences import AddressesOff, Preferences
from services.notify.domain.routing import Addressing, DecisionContext
from services.notify.flow.command_processor import CommandProcessor
from services.notify.flow.report import Metrics
from services.runtime.kafka import Record
from tests.notify.building import Pair, clock, day
from tests.notify.harness import mailing, one

NOW = day(40)
PAIRS = tuple(Pair(relationship=name) for name in ("a", "b"))
ACTS = (
    {"kind": "acknowledge"},
    {"kind": "unacknowledge"},
    {"kind": "snooze", "until": day(30), "wakes_on": "change"},
    {"kind": "assign", "assignee": "p-9"},
)
Act = tuple[Pair, int, int]
"""The pair, which act, and on which episode of its alert."""
Step = tuple[Pair | None, int, float]
"""A score of the pair, or the clock; hours since the step before; health."""
acts = st.tuples(st.sampled_from(PAIRS), st.integers(0, len(ACTS) - 1), st.integers(1, 2))
steps = st.tuples(
    st.sampled_from([*PAIRS, None]), st.sampled_from([1, 12, 30, 60]), st.sampled_from([20.0, 38.0, 45.0, 80.0])
)
rounds = st.lists(
    st.tuples(st.lists(acts, max_size=2), st.lists(steps, max_size=4), st.booleans()), min_size=3, max_size=12
)


class Notify:
    """Notify with a topic of commands. `written`: what lies on the topic of alerts; `places`: of each act on it, the
    score before it and its own offset."""

    def __init__(self) -> None:
        self.harness = one(mailing(), now=NOW, mode="log")
        self.written: list[str] = []
        self.places: list[tuple[int, int]] = []
        self._begin(None)

    def _begin(self, applied: InputOffset | None) -> None:
        harness, rules = (
            self.harness,
            Addressing(self.harness.config, self.harness.people, AddressesOff(), Preferences()),
        )
        harness.partition.applied = applied
        context = DecisionContext("log", lambda: NOW, rules)
        metrics = Metrics(CollectorRegistry())
        self._commands = CommandProcessor({0: harness.partition}, harness.shared, {}, context, metrics)

    def restart(self) -> None:
        applied = self.harness.partition.applied
        self.harness.restart()
        self._begin(applied)

    def act(self, *records: Record) -> None:
        for event in self._commands.apply(records).events:
            self.written.append(event.model_dump_json())
            own, *before = event.data.inputs
            self.places.append((before[0].offset if before else 0, own.offset))

    def score(self, *events: ScoreEvent) -> None:
        self.written += [decided.event.model_dump_json() for decided in self.harness.apply(*events)]


def command(offset: int, act: Act) -> Record:
    pair, which, episode = act
    subject = AlertSubject(pair.tenant, "relationship", pair.relationship, pair.program)
    key = dedup_key(alert_key(subject, "health_low"), episode)
    given = {
        "id": f"act-{offset}",
        "tenant": "acme",
        "by": "p-3",
        "at": day(20),
        "programs": None,
        "act": ACTS[which],
        "alert": AlertReference(
            subject_kind="relationship", subject=pair.relationship, rule="health_low", dedup_key=key
        ),
    }
    value = AlertCommand.model_validate(given).model_dump_json().encode()
    return Record("commands", 0, offset, b"k", value, (), 0)


def score(at: datetime, step: Step) -> ScoreEvent:
    pair, _, health = step
    return clock(at) if pair is None else pair.changed(at, health=health)


@given(drawn=rounds)
def test_acts_at_their_places_among_the_scores_give_the_same_alerts_and_handling(
    drawn: list[tuple[list[Act], list[Step], bool]],
) -> None:
    live, at = Notify(), day(0)
    commands, events = list[Record](), list[ScoreEvent]()
    for acted, stepped, restarts in drawn:
        asked = [command(len(commands) + number, act) for number, act in enumerate(acted)]
        moments = [at := at + timedelta(hours=hours) for _, hours, _ in stepped]
        found = [score(moment, step) for moment, step in zip(moments, stepped, strict=True)]
        live.act(*asked)
        live.score(*found)
        commands, events = [*commands, *asked], [*events, *found]
        if restarts:
            live.restart()

    again, places = Notify(), iter([*live.places, (len(events) + 1, 0)])
    after, own = next(places)
    for offset in range(len(events) + 1):
        if offset:
            again.score(events[offset - 1])
        while after == offset:
            again.act(commands[own])
            after, own = next(places)
    # The harness stores what has changed at the end of a round.
    again.score()

    assert again.written == live.written
    assert [again.harness.state(f"acme/{pair.relationship}") for pair in PAIRS] == [
        live.harness.state(f"acme/{pair.relationship}") for pair in PAIRS
    ]
