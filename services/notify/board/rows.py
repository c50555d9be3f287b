"""Alerts as rows that a coordinator reads at a glance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from schemas.alerts import Alert, Handling
from schemas.primitives import Instant
from schemas.rules import SUPPORT_REQUESTED, Rule
from services.notify.board.access import BoardPerson
from services.notify.board.state import BoardState
from services.notify.domain.alert_episode import AlertEpisode, CurrentAlerts
from services.notify.domain.ids import AlertSubject, ProgrammeKey
from services.notify.domain.name_book import MessageNames, NameBook
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.subjects import SubjectWatch
from services.notify.domain.wording import without_callers
from services.notify.rendering import phrases

CLASS_WORDS: Mapping[str, str] = {"P1": "now", "P2": "today", "P3": "this week"}
KEY_PREFIX = 32
"""Characters of an alert key with which the keys of its episodes begin."""
OPEN_ACTS = ("acknowledge", "snooze", "assign", "note", "vote")
HANDLED_ACTS = ("unacknowledge", "snooze", "assign", "note", "vote")
CLOSED_ACTS = ("note", "vote")


@dataclass(frozen=True)
class AlertRow:
    """One alert in words. `acts`: what may be done with it now; `also`: further alerts of the same subject in the same
    entry, the most urgent first."""

    key: str
    tenant: str
    program: str
    subject: str
    kind: str
    rule: str
    topic: str
    urgency: str
    state: str
    icon: str
    who: str
    happened: str
    cause: str
    next: str
    owner: str
    is_unassigned: bool
    due: str
    due_day: str
    is_overdue: bool
    since: Instant | None
    note: str
    acts: Sequence[str]
    alert: Alert | None
    handling: Handling
    naming: MessageNames = field(default_factory=MessageNames)
    also: Sequence["AlertRow"] = ()

    @property
    def link(self) -> str:
        return f"/alerts/{self.key}"

    @property
    def keys(self) -> str:
        """The keys of all alerts in the entry, as its checkbox has them."""
        return " ".join(one.key for one in (self, *self.also))

    @property
    def quick(self) -> tuple[str, str]:
        """The nearest act, and the path that applies it to all alerts of the entry that admit it; empty where there is
        none."""
        for act in ("acknowledge", "unacknowledge"):
            if keys := [one.key for one in (self, *self.also) if act in one.acts]:
                where = f"/alerts/{keys[0]}/{act}" if len(keys) == 1 else f"/alerts?act={act}&key={'+'.join(keys)}"
                return act, where
        return "", ""


class AlertReader:
    """Reads the state for one request; `now` is wall time; `current_alerts` caches alerts across requests."""

    def __init__(
        self,
        state: BoardState,
        people: NameBook,
        rules: RuleBook,
        now: Instant,
        current_alerts: CurrentAlerts | None = None,
    ) -> None:
        self.state, self.people, self.rules, self.now = state, people, rules, now
        self._current_alerts = current_alerts or CurrentAlerts()
        self._in_force: dict[ProgrammeKey, Mapping[str, Rule]] = {}

    def rules_of(self, subject: AlertSubject) -> Mapping[str, Rule]:
        """Return the rules in force for its programme, by name."""
        program = (subject.tenant, subject.program)
        if program not in self._in_force:
            self._in_force[program] = {rule.name: rule for rule in self.rules.in_force(program, self.now).rules}
        return self._in_force[program]

    def visible(self, person: BoardPerson) -> list[AlertEpisode]:
        """Return the latest episodes of all alerts that the person may see."""
        return [
            alert
            for alert in self.state.alerts()
            if person.can_see(alert.watch.subject.tenant, alert.watch.subject.program)
        ]

    def alert(self, key: str, person: BoardPerson) -> AlertEpisode | None:
        """Return the latest episode of that alert, whichever episode the key names."""
        wanted = key.rpartition("-")[0]
        if len(wanted) != KEY_PREFIX:
            return None
        return next((one for one in self.visible(person) if one.alert_key.startswith(wanted)), None)

    def row(self, one: AlertEpisode, person: BoardPerson) -> AlertRow:
        subject, naming = one.watch.subject, self.naming(one)
        last = self.last(one)
        alert = self._current_alerts.of(one, self.rules_of(one.watch.subject), last)
        if alert is not None and one.rule == SUPPORT_REQUESTED.name and not person.can_act:
            alert = alert.model_copy(update={"reasons": without_callers(alert.reasons)})
        due_day = self.due_day(one, naming, last)
        today = naming.calendar.local(self.now).date()
        due_words = "now" if one.state.urgency == "P1" else f"{due_day:%a} {due_day.day} {due_day:%b}"
        state, icon = _state(one)
        due = phrases.due(alert, naming) if alert is not None and one.is_open else ""
        return AlertRow(
            key=one.dedup_key,
            tenant=subject.tenant,
            program=subject.program,
            subject=subject.id,
            kind=subject.kind,
            rule=one.rule,
            topic=phrases.topic(alert) if alert else one.rule.replace("_", " "),
            urgency=one.state.urgency or (alert.urgency if alert else "P3"),
            state=state,
            icon=icon,
            who=self.who(one, naming),
            happened=phrases.happened(alert, naming, self.now) if alert else f"{one.rule.replace('_', ' ')}",
            cause=phrases.because(alert.reasons[0], alert) if alert and alert.reasons else "",
            next=phrases.next_act(alert, naming) if alert else "",
            owner=self.owner(one, naming),
            is_unassigned=is_unassigned(one),
            due=due,
            due_day=due_words if one.is_open else "",
            is_overdue=one.is_open and one.handling.state == "open" and due_day < today,
            since=one.state.since,
            note=one.note,
            acts=self.acts(one, person),
            alert=alert,
            handling=one.handling,
            naming=naming,
        )

    def entry(self, of_subject: Sequence[AlertEpisode], person: BoardPerson) -> AlertRow:
        """Return the alerts of one subject as one row."""
        first, *others = (self.row(one, person) for one in of_subject)
        return replace(first, also=others)

    def acts(self, one: AlertEpisode, person: BoardPerson) -> Sequence[str]:
        if not person.can_act:
            return ()
        if not one.is_open:
            return CLOSED_ACTS
        return OPEN_ACTS if one.handling.state == "open" else HANDLED_ACTS

    def current_alert(self, one: AlertEpisode) -> Alert | None:
        """Return the alert, with current values where it is open."""
        return self._current_alerts.of(one, self.rules_of(one.watch.subject), self.last(one))

    def naming(self, one: AlertEpisode) -> MessageNames:
        subject = one.watch.subject
        return self.people.naming(subject.tenant, subject.program, subject.id)

    def who(self, one: AlertEpisode, naming: MessageNames) -> str:
        subject = one.watch.subject
        if isinstance(one.watch, SubjectWatch):
            return f"{subject.kind} {one.watch.source or subject.id}"
        return naming.pair or f"pair {subject.id}"

    def person(self, tenant: str, participant: str) -> str:
        return self.people.name(tenant, participant) or participant

    def owner(self, one: AlertEpisode, naming: MessageNames) -> str:
        """Return who has it, or whose it would be."""
        tenant, handling = one.watch.subject.tenant, one.handling
        if handling.assignee:
            return self.person(tenant, handling.assignee)
        if handling.by and handling.state != "open":
            return self.person(tenant, handling.by)
        return naming.owner or "nobody yet"

    def last(self, one: AlertEpisode) -> Alert | None:
        """Return the last event of the episode, if recent."""
        for event in reversed(self.state.events(one.watch.subject.key)):
            if isinstance(event.data, Alert) and event.data.dedup_key == one.dedup_key:
                return event.data
        return None

    def due_day(self, one: AlertEpisode, naming: MessageNames, last: Alert | None) -> date:
        """Return when it should be handled. `last`: its last event."""
        decided_at = last.decided_at if last else one.state.since or self.now
        return phrases.due_day(one.state.urgency or "P3", decided_at, naming)

    def by_urgency(self, one: AlertEpisode) -> tuple[str, Instant, str]:
        """Return a sort key: the most urgent first, then the longest open."""
        return (one.state.urgency or "P9", one.state.since or self.now, one.rule)

    def as_of(self) -> Instant | None:
        """Return up to when all scores have been decided on."""
        return min(self.state.clocks().values(), default=None)


def group_by_subject(in_order: Sequence[AlertEpisode]) -> list[list[AlertEpisode]]:
    """Group alerts into entries: a pair with all its alerts, at the place of its first one."""
    found: dict[str, list[AlertEpisode]] = {}
    for one in in_order:
        found.setdefault(one.watch.subject.key, []).append(one)
    return list(found.values())


def is_unassigned(one: AlertEpisode) -> bool:
    return one.handling.assignee is None and one.handling.state == "open"


def _state(one: AlertEpisode) -> tuple[str, str]:
    """Return the state word, and the name of its icon."""
    if not one.is_open:
        return "Resolved", "resolved"
    match one.handling.state:
        case "acknowledged":
            return "Acknowledged", "acknowledged"
        case "snoozed":
            return "Snoozed", "snoozed"
        case _:
            return ("Recovering", "recovering") if one.state.condition == "recovering" else ("Open", "open")
