"""One alert, and one relationship in detail: decisions, acts, deliveries, and charts."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from schemas.alerts import Alert, AlertAct, AlertChanged, AlertHandled
from schemas.primitives import Instant, Side
from schemas.rules import LEVELLED, SUPPORT_REQUESTED, Rule
from services.notify.board.access import BoardPerson
from services.notify.board.charts import ChartLevel, ChartPoint, LineChart, LineData, OpenStretch, line
from services.notify.board.deliveries import DeliveryRow, message_row
from services.notify.board.history import HistoryUnavailable, Row
from services.notify.board.rows import AlertReader, AlertRow
from services.notify.domain.alert_episode import AlertEpisode
from services.notify.domain.ids import AlertSubject
from services.notify.domain.name_book import MessageNames, PairContact
from services.notify.domain.subjects import SubjectWatch
from services.notify.domain.watch import Watch
from services.notify.domain.window import Values, newest_values
from services.notify.domain.wording import chance_points
from services.notify.rendering import phrases

CHART = timedelta(days=90)
ACT_WORDS: Mapping[str, str] = {
    "acknowledge": "acknowledged it",
    "unacknowledge": "took the acknowledgement or the snooze back",
    "snooze": "snoozed it",
    "assign": "assigned it",
    "note": "left a note",
    "vote": "voted",
}
CLOSING_WORDS: Mapping[str, str] = {
    "acted": "somebody acted on it",
    "knew": "it was known",
    "agreed_pause": "they had agreed on a pause",
    "data_wrong": "the data was wrong",
    "no_reply": "nobody replied",
}


@dataclass(frozen=True)
class TimelineEntry:
    """One line of a timeline. `kind` chooses its icon; `details`: further lines to expand."""

    at: Instant
    kind: str
    words: str
    details: Sequence[str] = ()


@dataclass(frozen=True)
class CauseLine:
    """`share`: of the costliest, 0 to 100. `points` is empty where causes have no points."""

    words: str
    points: str
    share: float


@dataclass(frozen=True)
class AlertPage:
    row: AlertRow
    change: str
    sure: str
    causes: Sequence[CauseLine]
    timeline: Sequence[TimelineEntry]
    deliveries: Sequence[DeliveryRow]
    chart: LineChart | None
    chart_note: str
    until: str
    people: Sequence[tuple[str, str]]
    contacts: Sequence[PairContact]
    callers: Collection[Side]


@dataclass(frozen=True)
class RelationshipPage:
    """`values`: of its newest row, None where there is none."""

    subject: AlertSubject
    naming: MessageNames
    values: Values | None
    open: Sequence[AlertRow]
    health_chart: LineChart | None
    risk_chart: LineChart | None
    chart_note: str
    moves: Sequence[tuple[Instant, float, str]]
    timeline: Sequence[TimelineEntry]
    contacts: Sequence[PairContact]
    callers: Collection[Side]


def alert_page(
    reader: AlertReader, one: AlertEpisode, person: BoardPerson, history: Sequence[Row] | HistoryUnavailable
) -> AlertPage:
    row = reader.row(one, person)
    alert, rule = row.alert, reader.rules_of(one.watch.subject).get(one.rule)
    measure = rule.measure if rule and rule.measure in LEVELLED else "health"
    is_call, handling, until = one.rule == SUPPORT_REQUESTED.name, one.handling, ""
    if handling.until is not None and handling.state != "open":
        woken = ", or when it gets worse" if handling.wakes_on == "change" or handling.state == "acknowledged" else ""
        until = f"{handling.state} until {phrases.moment(handling.until, row.naming)}{woken}"
    return AlertPage(
        row=row,
        change=phrases.change(alert, row.naming, reader.now) if alert else "Nothing more is known of it here.",
        sure=phrases.sure(alert) if alert else "",
        causes=list(_causes(alert)) if alert else [],
        timeline=list(_timeline(reader, one)),
        deliveries=sorted(
            (message_row(reader, row, sent) for sent in reader.state.deliveries_of_episode(one.dedup_key)),
            key=lambda sent: (sent.delivery.changed_at, sent.delivery.delivery_id),
            reverse=True,
        ),
        chart=_chart(one.watch, measure, history, (_levels(rule), _stretches(reader, [one]))),
        chart_note=f"Only the last two weeks: {history.reason}." if isinstance(history, HistoryUnavailable) else "",
        until=until,
        people=sorted(possible_assignees(reader, one).items(), key=lambda found: found[1].casefold()),
        # Addresses are shown only to those who act.
        contacts=reader.people.contacts(row.tenant, row.subject) if person.can_act else (),
        callers=set(one.watch.calls.values()) if is_call and isinstance(one.watch, Watch) else (),
    )


def possible_assignees(reader: AlertReader, one: AlertEpisode) -> dict[str, str]:
    """Return who it can be assigned to, by id: the leads of the programme, and those with access to it on the board."""
    subject = one.watch.subject
    programme = reader.people.programme(subject.tenant, subject.program)
    leads = (programme.coordinator, programme.deputy, programme.manager) if programme else ()
    access = [
        token.person
        for token in reader.state.tokens().values()
        if token.tenant == subject.tenant
        and token.is_valid(reader.now)
        and token.role != "viewer"
        and (not token.programs or subject.program in token.programs)
    ]
    return {who: reader.person(subject.tenant, who) for who in (*leads, *access) if who}


def relationship_page(
    reader: AlertReader, watch: Watch, person: BoardPerson, history: Sequence[Row] | HistoryUnavailable
) -> RelationshipPage:
    subject, rules = watch.subject, reader.rules_of(watch.subject)
    episodes = reader.state.alerts_of_subject(subject.key)
    stretches, rows = _stretches(reader, episodes), () if isinstance(history, HistoryUnavailable) else history
    moved = [(as_of, moved, trigger or why) for as_of, _, _, moved, trigger, why in rows if moved and abs(moved) >= 1]
    largest = sorted(moved, key=lambda move: -abs(move[1]))[:12]
    return RelationshipPage(
        subject=subject,
        naming=reader.people.naming(subject.tenant, subject.program, subject.id),
        values=newest_values(watch.window),
        open=[reader.row(one, person) for one in sorted(episodes, key=reader.by_urgency) if one.is_open],
        health_chart=_chart(watch, "health", history, (_levels(rules.get("health_low")), stretches)),
        risk_chart=_chart(watch, "risk", history, (_levels(rules.get("disengaging")), stretches)),
        chart_note=f"Only the last two weeks: {history.reason}." if isinstance(history, HistoryUnavailable) else "",
        # The largest moves of health, the newest first.
        moves=sorted(((at, by, cause(why)) for at, by, why in largest), key=lambda move: move[0], reverse=True),
        timeline=sorted((m for one in episodes for m in _timeline(reader, one)), key=lambda m: m.at, reverse=True)[:50],
        # As on the page of an alert: only those who act see addresses, and who has asked for support.
        contacts=reader.people.contacts(subject.tenant, subject.id) if person.can_act else (),
        callers=set(watch.calls.values()),
    )


def _causes(alert: Alert) -> Iterator[CauseLine]:
    weighed = []
    for reason in alert.reasons:
        if alert.rule.startswith("health"):
            weighed.append((reason.words, reason.points, f"{reason.points:+.0f} points of health"))
        elif alert.rule == "disengaging" and alert.reading is not None:
            points = chance_points(alert.reading.risk, reason.points)
            weighed.append((reason.words, points, f"{points:+.0f} points of chance"))
        else:
            weighed.append((reason.words, 0.0, ""))
    most = max((abs(points) for _, points, _ in weighed), default=0.0) or 1.0
    return (CauseLine(words, said, round(100 * abs(points) / most, 1)) for words, points, said in weighed)


def _timeline(reader: AlertReader, one: AlertEpisode) -> Iterator[TimelineEntry]:
    """The newest first."""
    for event in reversed(reader.state.events(one.watch.subject.key)):
        if event.data.alert_key == one.alert_key:
            yield _moment(reader, event)


def _moment(reader: AlertReader, event: AlertChanged | AlertHandled) -> TimelineEntry:
    match event.data:
        case Alert() as alert:
            not_sent = f"; not sent: {alert.not_sent}" if alert.not_sent else ""
            details = [
                f"rule {alert.rule} version {alert.rule_version}, episode {alert.episode}, transition {alert.seq}",
                *(f"rests on {one.topic}, partition {one.partition}, offset {one.offset}" for one in alert.inputs),
                *(f"{stage.stage}: {stage.outcome}, {stage.why}" for stage in alert.decisions),
            ]
            words = f"{phrases.word(alert)} ({alert.urgency}): {phrases.why(alert)}{not_sent}"
            return TimelineEntry(alert.at, alert.transition, words, details)
        case AlertAct() as act:
            return TimelineEntry(act.at, "refused" if act.refused else act.act, _act_words(reader, event.tenant, act))


def _act_words(reader: AlertReader, tenant: str, act: AlertAct) -> str:
    who = reader.person(tenant, act.by)
    done = ACT_WORDS.get(act.act, act.act)
    if act.refused:
        return f"{who} {done}, which was refused: {act.refused}"
    if act.verdict:
        verdict = "useful" if act.verdict == "useful" else "not useful"
        return f"{who} called it {verdict}: {CLOSING_WORDS.get(act.closing or '', act.closing or '')}"
    if act.act == "assign":
        to = reader.person(tenant, act.handling.assignee) if act.handling.assignee else "nobody"
        return f"{who} gave it to {to}"
    until = act.handling.until
    return f"{who} {done}" + (f" until {until:%a} {until.day} {until:%b %H:%M} UTC" if until else "")


def _levels(rule: Rule | None) -> list[ChartLevel]:
    if rule is None or rule.measure not in LEVELLED:
        return []
    scale, unit, beyond = (100, " %", "below") if rule.measure == "risk" else (1, "", "above")

    def words(level: float) -> str:
        return f"{scale * level:g}{unit}"

    tiers = [ChartLevel(scale * tier.level, f"{tier.urgency} at {words(tier.level)}", "fires") for tier in rule.tiers]
    return [*tiers, ChartLevel(scale * rule.clear_level, f"clears {beyond} {words(rule.clear_level)}", "clears")]


def _stretches(reader: AlertReader, episodes: Sequence[AlertEpisode]) -> list[OpenStretch]:
    found = []
    for one in episodes:
        first_alerts: dict[str, Alert] = {}
        ended_at: dict[str, Instant] = {}
        for event in reader.state.events(one.watch.subject.key):
            if isinstance(event.data, Alert) and event.data.alert_key == one.alert_key:
                first_alerts.setdefault(event.data.dedup_key, event.data)
                if event.data.transition == "resolved":
                    ended_at[event.data.dedup_key] = event.data.at
        window = one.watch.window if isinstance(one.watch, Watch) else ()
        newest = window[-1].as_of if window else reader.now
        words = one.rule.replace("_", " ")
        found += [OpenStretch(alert.since, ended_at.get(key, newest), words) for key, alert in first_alerts.items()]
        if one.is_open and one.dedup_key not in first_alerts and one.state.since is not None:
            found.append(OpenStretch(one.state.since, newest, words))
    return found


def _chart(
    watch: Watch | SubjectWatch,
    measure: str,
    history: Sequence[Row] | HistoryUnavailable,
    marks: tuple[Sequence[ChartLevel], Sequence[OpenStretch]],
) -> LineChart | None:
    """Chart the history of ClickHouse, and the window of the watch."""
    points: dict[Instant, float | None] = {}
    if not isinstance(history, HistoryUnavailable):
        points |= {as_of: health if measure == "health" else 100 * risk for as_of, health, risk, *_ in history}
    for row in watch.window if isinstance(watch, Watch) else ():
        value = None if row.values is None else row.values.health if measure == "health" else 100 * row.values.risk
        if value is not None:
            points[row.as_of] = value
    name, unit = ("Health", "") if measure == "health" else ("The chance to fall silent", " %")
    levels, stretches = marks
    return line(LineData(name, [ChartPoint(at, value) for at, value in points.items()], levels, stretches, unit=unit))


def cause(name: str) -> str:
    """`mentoring.session.held.v1` as `session held`."""
    return name.removeprefix("mentoring.").removesuffix(".v1").replace(".", " ").replace("_", " ")
