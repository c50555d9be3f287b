"""`rapport notify rules check | apply | show | backtest`: alert rules as data of a programme."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import click
from pydantic import ValidationError

from schemas.events import partition_key, to_json
from schemas.primitives import Instant
from schemas.rule_sets import DEFAULTS, RuleSet, RulesSet, RuleVersion, ShadowResult, differing, problems_of, rules_of
from schemas.rule_words import describe
from services.notify.commands.common import columns, fail, settings_or_exit, write
from services.notify.domain.rule_book import ActiveRules, RuleBook
from services.notify.flow.backtest import (
    Backtest,
    read_clock,
    read_programme,
    read_rule_book,
    read_scores,
    run_backtest,
)
from services.notify.settings import NotifySettings
from services.notify.topics import NotifyTopics
from services.runtime.kafka import OutgoingRecord
from services.runtime.strict_yaml import UnreadableError, documents

SOURCE = "urn:rapport:rules"
_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group()
def rules() -> None:
    r"""Alert rules of a programme, as versions of a file.

    \b
    tenant: acme
    program: spring
    version: spring-rules-2        # any name; every transition carries it
    shadow_hours: 24               # 2 to 168: only counted so long, then it pages
    rules:                         # what is left out is as `rapport notify check` prints it
      health_low:
        tiers:
          - {level: 40, for_hours: 48, urgency: P3}
          - {level: 25, for_hours: 6, urgency: P2}
        clear: 50
        clear_hours: 48
      health_drop: {tiers: [{level: 15, urgency: P2}], window_days: 7, regained: 0.5, settles_days: 14}
      no_contact: {intervals: 4, least_days: 28, unmet_days: 21}
      programme_shift: {tiers: [{level: 0.2, urgency: P1}], clear: 0.1, least_pairs: 10}
      close_proposed: {disabled: true}

    Every rule takes keep_hours (what has fired stays open so long), rules of scores min_points (so many rows must show
    it). Levels must be watch levels of the programme's profile. support_requested cannot be changed.
    """


@dataclass(frozen=True)
class CheckedRules:
    """A valid file, and what it applies to."""

    wanted: RuleSet
    book: RuleBook
    present: Instant

    @property
    def name(self) -> str:
        return partition_key(self.wanted.tenant, self.wanted.program)

    @property
    def in_force(self) -> ActiveRules:
        return self.book.in_force((self.wanted.tenant, self.wanted.program), self.present)


@rules.command()
@_file
def check(file: Path) -> None:
    """Validate FILE against the grammar and the watch levels of its programme, and print its rules."""
    checked = _check_file(*settings_or_exit(), file)
    candidate = rules_of(checked.wanted.version, checked.wanted.rules)
    for rule in candidate:
        click.echo(describe(rule))
    changed = differing(checked.in_force.rules, candidate)
    topics = ", ".join(name for name, _, _ in changed) or "none"
    click.echo(f"{file}: valid; other than in version {checked.in_force.version}, which is in force: {topics}")


@rules.command()
@_file
def apply(file: Path) -> None:
    """Apply the rules of FILE. They run in shadow first, where they only count what they would have fired; after
    `shadow_hours` they page. The result of the shadow is published an hour before, and `show` prints it. Another
    version that is applied before replaces this one. A pair is evaluated by the new rules with its next score."""
    settings, topics = settings_or_exit()
    checked = _check_file(settings, topics, file)
    wanted = checked.wanted
    before = checked.book.applied((wanted.tenant, wanted.program), wanted.version)
    if before is not None and before.rules == wanted.rules:
        click.echo(f"{checked.name}: {wanted.version} was applied already, nothing is written")
        return
    if before is not None:
        fail(f"{file}: version {wanted.version} was applied with other rules: give this one another name")
    version = RuleVersion(
        version=wanted.version,
        since=checked.present,
        pages_from=checked.present + timedelta(hours=wanted.shadow_hours),
        rules=wanted.rules,
    )
    event = RulesSet(
        type="mentoring.program.rules_set.v1",
        source=SOURCE,
        id=f"rules-set-{uuid4().hex}",
        time=version.since,
        recordedtime=version.since,
        tenant=wanted.tenant,
        program=wanted.program,
        data=version,
    )
    headers = [("content-type", b"application/cloudevents+json")]
    write(settings, [OutgoingRecord(topics.rules, to_json(event), checked.name.encode(), headers)])
    click.echo(f"{checked.name}: {wanted.version} runs in shadow, and pages from {_moment(version.pages_from)} on")


@rules.command()
@click.option("--tenant", help="Only of this organisation.")
@click.option("--program", "--programme", "program", help="Only of this programme.")
def show(tenant: str | None, program: str | None) -> None:
    """Print the rules in force, those in shadow, and the results of shadows."""
    settings, topics = settings_or_exit()
    book, now = read_rule_book(settings, topics), _current_instant(settings, topics)
    found = [key for key in book.programs if tenant in {None, key[0]} and program in {None, key[1]}]
    for key in found:
        click.echo(f"{'/'.join(key)}: version {book.in_force(key, now).version} is in force")
        for rule in book.in_force(key, now).rules:
            click.echo(f"  {describe(rule)}")
        for version in book.versions(key):
            state = "pages" if version.pages_from <= now else "in shadow, pages"
            click.echo(
                f"  {version.version}: applied {_moment(version.since)}, {state} from {_moment(version.pages_from)}"
            )
            for line in _shadow_lines(book.result(key, version.version)):
                click.echo(f"    {line}")
    if not found:
        click.echo("no version was applied; by default:")
        for rule in DEFAULTS.values():
            click.echo(f"  {describe(rule)}")


@rules.command()
@_file
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def backtest(file: Path, *, as_json: bool) -> None:
    """Print what the rules of FILE would have fired in the past, week by week, beside those in force.

    Both are run over the scores of the programme on mentoring.scores (90 days), in order, as if each had been in force
    since the first of them. Rules of programmes and sources are left out: their inputs are not stored.
    """
    settings, topics = settings_or_exit()
    checked = _check_file(settings, topics, file)
    wanted, before = checked.wanted, checked.in_force
    scores = read_scores(settings, topics, wanted.tenant, wanted.program)
    backtest_ = run_backtest(scores, before.rules, rules_of(wanted.version, wanted.rules))
    if as_json:
        click.echo(json.dumps(_document(before.version, wanted.version, backtest_), indent=2))
        return
    for line in _table(checked, backtest_):
        click.echo(line)


def _check_file(settings: NotifySettings, topics: NotifyTopics, file: Path) -> CheckedRules:
    """Check the file. Exits with 1 and every fault where it cannot be applied."""
    wanted = _parse_file(file)
    programme = read_programme(settings, topics, wanted.tenant, wanted.program)
    checked = CheckedRules(wanted, read_rule_book(settings, topics), _current_instant(settings, topics))
    if found := problems_of(wanted, programme, checked.present):
        fail("\n".join(f"{file}: {problem}" for problem in found))
    if programme is None:
        click.echo(f"{file}: nobody has described {checked.name} (`rapport programs apply`): "
                   "its profile has the default watch levels", err=True)  # fmt: skip
    return checked


def _parse_file(file: Path) -> RuleSet:
    """Parse the file. Exits with 1 and every fault where it is no file of rules."""
    try:
        found = [document for document in documents(file) if document is not None]
    except UnreadableError as broken:
        fail(str(broken))
    if len(found) != 1 or not isinstance(found[0], dict):
        fail(f"{file}: one mapping of names to values is needed, see `rapport notify rules --help`")
    try:
        return RuleSet.model_validate_json(json.dumps(found[0]))
    except ValidationError as invalid:
        # A file of rules holds nothing of people: its faults may be quoted, other than those of events.
        fail(
            "\n".join(f"{file}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in invalid.errors(include_url=False))
        )
    except (TypeError, ValueError) as broken:
        fail(f"{file}: {broken}")


def _current_instant(settings: NotifySettings, topics: NotifyTopics) -> Instant:
    """Return now, or the clock of the scores where the log's clock decides."""
    return read_clock(settings, topics) if settings.clock == "log" else datetime.now(UTC)


def _shadow_lines(result: ShadowResult | None) -> Iterator[str]:
    if result is None:
        return
    span = f"{_moment(result.since)} to {_moment(result.until)}, {result.pairs} pairs, against {result.before}"
    yield f"in shadow {span}:" + ("" if result.differences else " no rule of a pair is other")
    for one in result.differences:
        yield f"{one.rule}: would have fired {one.then} times instead of {one.now}; pairs +{one.gained} -{one.lost}"


def _table(checked: CheckedRules, found: Backtest) -> Iterator[str]:
    """Yield the table by rule: the total, and week by week `now>then`."""
    wanted, before = checked.wanted, checked.in_force
    if found.since is None or found.until is None:
        yield f"{checked.name}: there are no scores to try it on"
        return
    pairs = f"{len(found.relationships)} pairs, {_moment(found.since)} to {_moment(found.until)}"
    yield f"{checked.name}: {pairs}; fired by {before.version} > {wanted.version}"
    weeks = found.weeks
    rows = [["rule", "all", "pairs", *(f"{week:%d %b}" for week in weeks)]]
    either = {rule.name for rule in (*before.rules, *rules_of(wanted.version, wanted.rules))}
    of_subjects = before.of_subjects.keys() | {"programme_shift", "source_silent", "score_stale"}
    for name in (one for one in DEFAULTS if one in either - of_subjects):
        pairs_now, pairs_then = (len(side.pairs.get(name, ())) for side in (found.now, found.then))
        counts = [f"{found.now.weeks[name, week]}>{found.then.weeks[name, week]}" for week in weeks]
        rows.append([name, f"{found.now.of(name)}>{found.then.of(name)}", f"{pairs_now}>{pairs_then}", *counts])
    yield from columns(rows)


def _document(before: str, version: str, found: Backtest) -> dict[str, object]:
    weeks = [
        {
            "rule": name,
            "week": f"{week:%Y-%m-%d}",
            "now": found.now.weeks[name, week],
            "then": found.then.weeks[name, week],
        }
        for name, week in sorted({*found.now.weeks, *found.then.weeks})
    ]
    return {
        "before": before,
        "version": version,
        "since": found.since and found.since.isoformat(),
        "until": found.until and found.until.isoformat(),
        "relationships": len(found.relationships),
        "weeks": weeks,
    }


def _moment(at: Instant) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
