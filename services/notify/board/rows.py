"""Open alerts as rows that a coordinator reads at a glance, and how they are chosen, searched and ordered: by what
stands in the address of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from schemas.alerts import Alert, Handling, Urgency
from schemas.primitives import Instant
from schemas.rules import Rule
from services.notify.board.auth import BoardPerson
from services.notify.board.state import BoardState
from services.notify.domain.ids import AlertSubject, ProgrammeKey
from services.notify.domain.known_alert import AlertsOfNow, KnownAlert
from services.notify.domain.name_book import NameBook, Naming
from services.notify.domain.rule_book import RuleBook
from services.notify.domain.subjects import SubjectWatch
from services.notify.rendering import phrases
from services.notify.rendering.next_acts import next_act

URGENCIES: tuple[Urgency, ...] = ("P1", "P2", "P3")
CLASS_WORDS: Mapping[str, str] = {"P1": "now", "P2": "today", "P3": "this week"}
OWNERS = ("all", "mine", "team", "unassigned")
SORTS: Mapping[str, str] = {"since": "longest open first", "newest": "newest first", "name": "name", "due": "due first"}
NAMED_BY = 32
"""Characters of an alert's key that the keys of its episodes begin with."""
PER_PAGE = 200
"""Also what one bulk act may reach."""
LONGEST_SEARCH, LONGEST_ID, MOST_PAGES = 100, 128, 1_000
OF_OPEN = ("acknowledge", "snooze", "assign", "note", "vote")
OF_HELD = ("unacknowledge", "snooze", "assign", "note", "vote")
OF_CLOSED = ("note", "vote")


@dataclass(frozen=True)
class AlertChoice:
    """Which alerts are shown, in which order, as the address says it."""

    owner: str = "all"
    program: str = ""
    rule: str = ""
    search: str = ""
    sort: str = "since"
    page: int = 1

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "AlertChoice":
        """Of any address: what makes no sense counts as not said."""
        owner, sort, page = query.get("owner", "all"), query.get("sort", "since"), query.get("page", "1")
        return cls(
            owner if owner in OWNERS else "all",
            query.get("program", "")[:LONGEST_ID],
            query.get("rule", "")[:LONGEST_ID],
            " ".join(query.get("q", "")[:LONGEST_SEARCH].split()),
            sort if sort in SORTS else "since",
            min(int(page[:6]), MOST_PAGES) if page.isascii() and page.isdecimal() and int(page[:6]) else 1,
        )

    def address(self, **changed: Any) -> str:  # noqa: ANN401 (its own fields)
        other = replace(self, **({"page": 1} | changed))
        named = {"owner": other.owner, "program": other.program, "rule": other.rule, "q": other.search}
        named |= {"sort": other.sort, "page": str(other.page)}
        defaults = {"owner": "all", "sort": "since", "page": "1"}
        # Whoever asks for all by name gets all, whatever the board opens with for them.
        named_by_whoever = {"owner"} if changed.get("owner") == "all" else set[str]()
        said = {n: value for n, value in named.items() if value and (value != defaults.get(n) or n in named_by_whoever)}
        return f"/?{urlencode(said)}" if said else "/"

    @property
    def is_narrow(self) -> bool:
        return bool(self.program or self.rule or self.search or self.owner != "all")


@dataclass(frozen=True)
class AlertRow:
    """One alert in words. `acts`: what may be done with it, as it is."""

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
    naming: Naming = field(default_factory=Naming)

    @property
    def link(self) -> str:
        return f"/alerts/{self.key}"


@dataclass(frozen=True)
class NowPage:
    """`groups`: rows by class, the most urgent first. `found`: of all pages; `open`: before anything was chosen."""

    choice: AlertChoice
    groups: Sequence[tuple[str, Sequence[AlertRow]]]
    found: int
    open: int
    urgent: int
    pages: int
    programs: Sequence[str]
    rules: Sequence[str]
    mine: int
    team: int
    unassigned: int


class AlertReader:
    """Reads the state for one moment; `now` is wall time; `told` may know what was made for an earlier moment."""

    def __init__(
        self, state: BoardState, people: NameBook, rules: RuleBook, now: Instant, told: AlertsOfNow | None = None
    ) -> None:
        self.state, self.people, self.rules, self.now = state, people, rules, now
        self._told = told or AlertsOfNow()
        self._in_force: dict[ProgrammeKey, Mapping[str, Rule]] = {}

    def rules_of(self, subject: AlertSubject) -> Mapping[str, Rule]:
        """Those in force for its programme, by name."""
        program = (subject.tenant, subject.program)
        if program not in self._in_force:
            self._in_force[program] = {rule.name: rule for rule in self.rules.in_force(program, self.now).rules}
        return self._in_force[program]

    def visible(self, person: BoardPerson) -> list[KnownAlert]:
        """The latest episodes of all alerts that the person may see."""
        return [
            alert
            for alert in self.state.alerts()
            if person.sees(alert.watch.subject.tenant, alert.watch.subject.program)
        ]

    def alert(self, key: str, person: BoardPerson) -> KnownAlert | None:
        """The latest episode of that alert, whichever episode the key names."""
        wanted = key.rpartition("-")[0]
        if len(wanted) != NAMED_BY:
            return None
        return next((one for one in self.visible(person) if one.alert_key.startswith(wanted)), None)

    def now_page(self, person: BoardPerson, choice: AlertChoice) -> NowPage:
        everything = [one for one in self.visible(person) if one.is_open]
        found = sorted((one for one in everything if self.matches(one, person, choice)), key=self._order(choice))
        pages = max(1, -(-len(found) // PER_PAGE))
        begin = (min(choice.page, pages) - 1) * PER_PAGE
        rows = [self.row(one, person) for one in found[begin : begin + PER_PAGE]]
        team = self._team(person)
        return NowPage(
            choice=choice,
            groups=[(u, of) for u in URGENCIES if (of := [row for row in rows if row.urgency == u])],
            found=len(found),
            open=len(everything),
            urgent=sum(one.state.urgency == "P1" for one in everything),
            pages=pages,
            programs=sorted({one.watch.subject.program for one in everything}),
            rules=sorted({one.rule for one in everything}),
            mine=sum(_is_held_by(one, person) for one in everything),
            team=sum(one.watch.subject.program in team for one in everything),
            unassigned=sum(_is_unassigned(one) for one in everything),
        )

    def _team(self, person: BoardPerson) -> list[str]:
        """Programmes that name the person."""
        return [] if person.tenant is None else self.people.programs_of(person.tenant, person.id)

    def matches(self, one: KnownAlert, person: BoardPerson, choice: AlertChoice) -> bool:
        if choice.program and one.watch.subject.program != choice.program:
            return False
        if choice.rule and one.rule != choice.rule:
            return False
        if choice.owner == "mine" and not _is_held_by(one, person):
            return False
        if choice.owner == "team" and one.watch.subject.program not in self._team(person):
            return False
        if choice.owner == "unassigned" and not _is_unassigned(one):
            return False
        return not choice.search or choice.search.casefold() in self._words(one).casefold()

    def row(self, one: KnownAlert, person: BoardPerson) -> AlertRow:
        subject, naming = one.watch.subject, self.naming(one)
        last = self._last(one)
        alert = self._told.of(one, self.rules_of(one.watch.subject), last)
        due_day = self._due_day(one, naming, last)
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
            happened=phrases.happened(alert, naming) if alert else f"{one.rule.replace('_', ' ')}",
            cause=phrases.because(alert.reasons[0], alert) if alert and alert.reasons else "",
            next=next_act(alert) if alert else "",
            owner=self.owner(one, naming),
            is_unassigned=_is_unassigned(one),
            due=due,
            due_day=_due_words(one, due_day) if one.is_open else "",
            is_overdue=self._is_overdue(one, naming, due_day),
            since=one.state.since,
            note=one.note,
            acts=self.acts(one, person),
            alert=alert,
            handling=one.handling,
            naming=naming,
        )

    def acts(self, one: KnownAlert, person: BoardPerson) -> Sequence[str]:
        if not person.acts:
            return ()
        if not one.is_open:
            return OF_CLOSED
        return OF_OPEN if one.handling.state == "open" else OF_HELD

    def told(self, one: KnownAlert) -> Alert | None:
        """With the values of now, where it is open."""
        return self._told.of(one, self.rules_of(one.watch.subject), self._last(one))

    def naming(self, one: KnownAlert) -> Naming:
        subject = one.watch.subject
        return self.people.naming(subject.tenant, subject.program, subject.id)

    def who(self, one: KnownAlert, naming: Naming) -> str:
        subject = one.watch.subject
        if isinstance(one.watch, SubjectWatch):
            return f"{subject.kind} {one.watch.source or subject.id}"
        return naming.pair or f"pair {subject.id}"

    def person(self, tenant: str, participant: str) -> str:
        return self.people.name(tenant, participant) or participant

    def owner(self, one: KnownAlert, naming: Naming) -> str:
        """Who has it, or whose it would be."""
        tenant, handling = one.watch.subject.tenant, one.handling
        if handling.assignee:
            return self.person(tenant, handling.assignee)
        if handling.by and handling.state != "open":
            return self.person(tenant, handling.by)
        return naming.owner or "nobody yet"

    def as_of(self) -> Instant | None:
        """Up to when all scores have been decided on."""
        return min(self.state.clocks().values(), default=None)

    def _last(self, one: KnownAlert) -> Alert | None:
        """As it was last told, if that was in this episode and of late."""
        for event in reversed(self.state.events(one.watch.subject.key)):
            if isinstance(event.data, Alert) and event.data.dedup_key == one.dedup_key:
                return event.data
        return None

    def _due_day(self, one: KnownAlert, naming: Naming, last: Alert | None) -> date:
        decided_at = last.decided_at if last else one.state.since or self.now
        return phrases.due_day(one.state.urgency or "P3", decided_at, naming)

    def _words(self, one: KnownAlert) -> str:
        subject, naming = one.watch.subject, self.naming(one)
        return f"{self.who(one, naming)} {subject.id} {subject.program} {one.rule} {one.rule.replace('_', ' ')}"

    def _is_overdue(self, one: KnownAlert, naming: Naming, due_day: date) -> bool:
        today = self.now.astimezone(ZoneInfo(naming.zone)).date()
        return one.is_open and one.handling.state == "open" and due_day < today

    def _order(self, choice: AlertChoice) -> Any:  # noqa: ANN401 (a key for sorted)
        """What fires stands before what recovers, and what nobody has before what is in hand."""
        last = datetime.max.replace(tzinfo=UTC)

        def key(one: KnownAlert) -> tuple[object, ...]:
            first = (one.state.urgency or "P9", one.state.condition != "firing", one.handling.state != "open")
            since = one.state.since or last
            match choice.sort:
                case "newest":
                    return (*first, -since.timestamp(), one.dedup_key)
                case "name":
                    return (*first, self.who(one, self.naming(one)).casefold(), one.dedup_key)
                case "due":
                    return (*first, self._due_day(one, self.naming(one), self._last(one)), one.dedup_key)
                case _:
                    return (*first, since, one.dedup_key)

        return key


def _state(one: KnownAlert) -> tuple[str, str]:
    """A word, and the name of its icon."""
    if not one.is_open:
        return "Resolved", "resolved"
    match one.handling.state:
        case "acknowledged":
            return "Acknowledged", "acknowledged"
        case "snoozed":
            return "Snoozed", "snoozed"
        case _:
            return ("Recovering", "recovering") if one.state.condition == "recovering" else ("Open", "open")


def _due_words(one: KnownAlert, due_day: date) -> str:
    return "now" if one.state.urgency == "P1" else f"{due_day:%a} {due_day.day} {due_day:%b}"


def _is_unassigned(one: KnownAlert) -> bool:
    return one.handling.assignee is None and one.handling.state == "open"


def _is_held_by(one: KnownAlert, person: BoardPerson) -> bool:
    handling = one.handling
    return handling.assignee == person.id or (handling.assignee is None and handling.by == person.id)
