"""Operations: silences, rules, and the health of the system."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from schemas.alert_commands import AlertSilence
from schemas.alerts import Alert
from schemas.events import partition_key
from schemas.primitives import Instant
from schemas.rule_sets import DEFAULTS
from schemas.rule_words import describe
from schemas.rules import Rule
from services.notify.board.access import BoardPerson
from services.notify.board.history import HistoryUnavailable, Row
from services.notify.board.rows import AlertReader
from services.notify.domain.guards import Clock, is_behind, lag
from services.notify.domain.handling import silence_key, silence_matches
from services.notify.domain.lifecycle import CORRECTED

SILENT_AFTER = timedelta(hours=1)
"""Midnight rows alone make notify write more often than that."""
SIGNS = {"<=": "at or below", ">=": "at or above", "<": "below", ">": "above"}
_LEVEL = re.compile(r"([<>]=?) ([0-9]+(?:\.[0-9]+)?)")
MAX_OFFERED = 200
"""Pairs offered by name; any other can be given by id."""


@dataclass(frozen=True)
class SilenceLine:
    silence: AlertSilence
    key: str
    mutes: str
    by: str
    now: int
    may_end: bool


@dataclass(frozen=True)
class RuleLine:
    """`outcomes`: alerts with a known outcome; `came_true`: those after which the pair fell silent or ended unplanned.
    `closed`: closing reasons by votes, the most frequent first."""

    name: str
    words: str
    open: int
    fired: int
    useful: int
    votes: int
    came_true: int
    outcomes: int
    closed: Sequence[tuple[str, int]]
    versions: Sequence[str]


@dataclass(frozen=True)
class RuleVersionLine:
    """`words`: each rule that differs from the default; `shadow`: what would have differed while it ran in shadow."""

    tenant: str
    program: str
    version: str
    state: str
    pages_from: Instant
    words: Sequence[str]
    shadow: Sequence[str]


@dataclass(frozen=True)
class DataFreshness:
    """`is_late`: scores lag so far behind the wall clock that notify sends nothing."""

    as_of: Instant | None
    is_late: bool
    words: str


def silences(reader: AlertReader, person: BoardPerson) -> list[SilenceLine]:
    found = []
    for silence in reader.state.silences():
        program = silence.program
        if silence.until <= reader.now or not sees_silence(reader, person, silence):
            continue
        is_own = person.programs is None or program in person.programs
        found.append(
            SilenceLine(
                silence=silence,
                key=silence_key(silence.tenant, silence.id),
                mutes=_mutes(reader, silence),
                by=reader.person(silence.tenant, silence.by),
                now=count_muted(reader, person, silence),
                may_end=person.can_act and is_own,
            )
        )
    return sorted(found, key=lambda line_: line_.silence.until)


def count_muted(reader: AlertReader, person: BoardPerson, silence: AlertSilence) -> int:
    """Return how many of the open alerts that the person sees the silence matches."""
    return sum(silence_matches(silence, one.watch.subject, one.rule) for one in reader.visible(person) if one.is_open)


def pairs_by_name(reader: AlertReader, person: BoardPerson) -> list[tuple[str, str]]:
    """Return id and name of pairs with open alerts that the person sees: those that somebody may want to silence."""
    open_ = (one for one in reader.visible(person) if one.is_open and one.watch.subject.kind == "relationship")
    named = {one.watch.subject.id: name for one in open_ if (name := reader.naming(one).pair)}
    return sorted(named.items(), key=lambda found: found[1].casefold())[:MAX_OFFERED]


def rule_lines(
    reader: AlertReader, person: BoardPerson, precision: Sequence[Row] | HistoryUnavailable
) -> list[RuleLine]:
    """Return the default rules with their alerts of the last 30 days and the outcomes after them."""
    true_counts, outcome_counts = Counter[str](), Counter[str]()
    for tenant, program, name, came_true, outcomes in () if isinstance(precision, HistoryUnavailable) else precision:
        if person.can_see(tenant, program):
            true_counts[name] += came_true
            outcome_counts[name] += outcomes
    fired: Counter[str] = Counter()
    versions: dict[str, dict[str, None]] = {}
    withdrawn: set[str] = set()
    for event in reader.state.all_events():
        alert = event.data
        if not isinstance(alert, Alert) or not person.can_see(event.tenant, event.program):
            continue
        if alert.transition in {"fired", "unstable"}:
            fired[alert.rule] += 1
            versions.setdefault(alert.rule, {})[alert.rule_version] = None
        elif alert.why == CORRECTED:
            withdrawn.add(alert.dedup_key)
    # A corrected alert is counted nowhere.
    counted = (vote for vote in reader.state.votes() if vote.dedup_key not in withdrawn)
    votes = [vote for vote in counted if person.can_see(vote.tenant, vote.program)]
    open_ = Counter(one.rule for one in reader.visible(person) if one.is_open)
    return [
        RuleLine(
            name=rule.name,
            words=_words(rule).partition(": ")[2],
            open=open_[rule.name],
            fired=fired[rule.name],
            useful=sum(vote.is_useful for vote in votes if vote.rule == rule.name),
            votes=sum(vote.rule == rule.name for vote in votes),
            came_true=true_counts[rule.name],
            outcomes=outcome_counts[rule.name],
            closed=[
                (why, count)
                for why, count in Counter(vote.closing for vote in votes if vote.rule == rule.name).most_common()
                if why is not None
            ],
            versions=sorted({rule.version, *versions.get(rule.name, ())}),
        )
        for rule in DEFAULTS.values()
    ]


def version_lines(reader: AlertReader, person: BoardPerson) -> list[RuleVersionLine]:
    """Return the versions of programmes with their own rules, the newest first."""
    return [
        RuleVersionLine(
            tenant=tenant,
            program=program,
            version=version.version,
            state="in force" if version.pages_from <= reader.now else "in shadow",
            pages_from=version.pages_from,
            words=[_words(rule) for rule in version.decides() if rule != DEFAULTS.get(rule.name)],
            shadow=[
                f"{one.rule.replace('_', ' ')}: fired {one.now} times, would have fired {one.then} times, "
                f"on {one.gained} pairs more and {one.lost} fewer"
                for result in (reader.rules.result((tenant, program), version.version),)
                for one in (result.differences if result else ())
            ],
        )
        for tenant, program in reader.rules.programs
        if person.can_see(tenant, program)
        for version in reversed(reader.rules.versions((tenant, program)))
    ]


def _words(rule: Rule) -> str:
    """Describe a rule without signs, and risk as a chance, like alerts: `health at or below 40`, `chance at or above 70
    %`."""
    words = describe(rule)
    if rule.measure == "risk":
        words = _LEVEL.sub(lambda level: f"{level[1]} {100 * float(level[2]):g} %", words).replace(": risk", ": chance")
    for sign, words_of_sign in SIGNS.items():
        words = words.replace(f"{sign} ", f"{words_of_sign} ")
    return words


def freshness(reader: AlertReader, clock: Clock) -> DataFreshness:
    as_of = reader.as_of()
    if as_of is None:
        return DataFreshness(None, is_late=True, words="no scores have been decided on yet")
    behind = lag(as_of, reader.now, clock)
    words = f"data as of {as_of:%a} {as_of.day} {as_of:%b %Y %H:%M} UTC"
    return DataFreshness(as_of, is_behind(behind), words)


def system_parts(reader: AlertReader, clock: Clock, history: str | None) -> list[tuple[str, str, str]]:
    """Return each part of the system, its state (good, waiting, bad), and the words."""
    fresh, written = freshness(reader, clock), reader.state.last_written_at
    is_silent = written is None or reader.now - written > SILENT_AFTER
    return [
        ("Scores", "bad" if fresh.is_late else "good", fresh.words[0].upper() + fresh.words[1:] + "."),
        (
            "Decisions",
            "waiting" if is_silent else "good",
            f"Notify last wrote on {written:%a} {written.day} {written:%b %Y %H:%M} UTC."
            if written
            else "Notify has not written anything yet.",
        ),
        (
            "History",
            "bad" if history else "good",
            f"{history}: charts are short." if history else "ClickHouse answers.",
        ),
    ]


def sees_silence(reader: AlertReader, person: BoardPerson, silence: AlertSilence) -> bool:
    """Return whether the person may see the silence: one of the whole organisation, unless it names a relationship of a
    programme that the person does not see."""
    if silence.program is not None:
        return person.can_see(silence.tenant, silence.program)
    if silence.relationship is None or person.programs is None:
        return person.belongs_to(silence.tenant)
    watch = reader.state.watch(partition_key(silence.tenant, silence.relationship))
    return watch is not None and person.can_see(silence.tenant, watch.subject.program)


def _mutes(reader: AlertReader, silence: AlertSilence) -> str:
    parts = []
    if silence.relationship:
        naming = reader.people.naming(silence.tenant, silence.program or "", silence.relationship)
        parts.append(naming.pair or f"pair {silence.relationship}")
    parts += [f"rule {silence.rule.replace('_', ' ')}"] if silence.rule else []
    parts += [f"programme {silence.program}"] if silence.program else []
    return ", ".join(parts) or "everything of the organisation"
