"""`rapport scoring explain RELATIONSHIP`: how it is, why, how it came to be, and what to do; as text, or as one JSON
document."""

import json
import sys
from typing import Any

import click

from services.scoring.commands.console import command_settings, explained, instant, output, progress, rfc3339
from services.scoring.commands.explain_report import report
from services.scoring.domain.bounds import ONE
from services.scoring.domain.explaining.explanation import Explanation, Untold, explain
from services.scoring.domain.explaining.knowledge import knowledge_of
from services.scoring.domain.explaining.points import TENTH, capped_by, shown_health, shown_points, whole
from services.scoring.domain.explaining.remedies import Trial
from services.scoring.domain.explaining.story import Change
from services.scoring.flow.one_relationship import UnknownRelationshipError, read_relationship
from services.scoring.topics import Topics

Document = dict[str, Any]


@click.command("explain")
@click.argument("relationship")
@click.option("--as-of", callback=instant, help="The story up to then, ISO 8601; UTC without a zone. Default: now.")
@click.option("--known-at", callback=instant, help="As known then: events recorded later are left out.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
def explain_(relationship: str, as_of: int | None, known_at: int | None, *, as_json: bool) -> None:
    """Explain the score of RELATIONSHIP (tenant/id, or the id where only one tenant has it).

    With --known-at alone the story ends there too; with both, it is the story up to --as-of as it was known at
    --known-at."""
    settings = command_settings()
    names = Topics.at(settings.log_epoch)
    with explained("explain", UnknownRelationshipError), progress() as bar:
        task = bar.add_task("reading the log", total=None)
        log = read_relationship(settings, names, relationship, lambda: bar.advance(task))
    known = knowledge_of(log.relationship, log.events, known_at)
    upto = as_of if as_of is not None else known_at if known_at is not None else log.clock
    found = explain(known, log.programmes.of(log.relationship, known.program), upto)
    if isinstance(found, Untold):
        sys.exit(f"rapport scoring explain: {log.relationship}: {found.reason}")
    if as_json:
        click.echo(json.dumps(document(found), indent=2))
    else:
        report(output(), found, log.clock)


def document(found: Explanation) -> Document:
    """Instants in RFC 3339, points as they are shown: they add up."""
    known, row, evaluation = found.known, found.row, found.row.evaluation
    return {
        "relationship": known.relationship,
        "program": known.program,
        "as_of": _time(found.as_of),
        "known_at": _time(known.known_at),
        "events_left_out": known.later,
        "scored_at": _time(found.at),
        "status": row.status,
        "started": _time(row.started),
        "cadence_days": row.cadence,
        "last_contact": _time(row.last_contact),
        "next_session": _time(row.next_session),
        "open_requests": row.open_requests,
        "profile": found.profile.version,
        "calibration": found.profile.calibration,
        "certainty_of_risk": found.profile.certainty,
        "health": shown_health(evaluation) / 10,
        "band": evaluation.band,
        "capped_by": capped_by(row),
        "confidence": evaluation.confidence / ONE,
        "trend": row.trend / ONE,
        "why": [{"part": one.part, "points": one.points / 10, "words": one.words} for one in found.missing],
        "parts": _parts(found),
        "risk": evaluation.risk / ONE,
        "risk_terms": [{"name": name, "value": value / ONE} for name, value in evaluation.terms],
        "story": [_change(change) for change in found.story],
        "to_do": {
            "first": _trial(found.remedies.first) if found.remedies.first else None,
            "cause": found.remedies.cause,
            "reason": found.remedies.reason,
            "singles": [_trial(trial) for trial in found.remedies.singles],
        },
    }


def _parts(found: Explanation) -> list[Document]:
    evaluation = found.row.evaluation
    return [
        {"name": part.name, "value": part.value / ONE, "weight": part.weight, "points": points / 10}
        for part, points in zip(evaluation.parts, shown_points(evaluation), strict=True)
    ]


def _change(change: Change) -> Document:
    return {
        "from": _time(change.begin),
        "to": _time(change.end),
        "rows": change.rows,
        "what": change.words,
        "before": None if change.before is None else change.before / 10,
        "health": change.health / 10,
        "band": change.band,
        "moved": {name: points / 10 for name, points in change.moved},
        "risk": change.risk / ONE,
        "risk_term": change.term,
    }


def _trial(trial: Trial) -> Document:
    health = whole(trial.health, TENTH) / 10
    return {"steps": trial.steps, "health": health, "band": trial.band, "risk": trial.risk / ONE}


def _time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
