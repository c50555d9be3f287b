"""A roster in a file, JSONL: events of relationships and sessions, and participants, in any order."""

from pathlib import Path

from schemas.directory import Participant
from services.ingest.domain.admission import Clock, admit, any_pseudonym, any_scope
from services.ingest.domain.people.participants import read_participant
from services.ingest.domain.people.roster import Roster
from services.ingest.domain.strict_json import read_json
from services.ingest.domain.tools.projection import Projection
from services.ingest.domain.verdict import Rejected
from services.ingest.trying.attempt import PRETENDED_KEY


class BrokenRosterError(Exception):
    """The message names the file, the line and the place in it."""


def read_roster(file: Path, tenant: str, clock: Clock) -> Projection:
    """What names no tenant is of this one. Raises BrokenRosterError."""
    projection = Projection(Roster(PRETENDED_KEY))
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                problem = _learn(projection, line, tenant, clock)
                if problem:
                    first = problem.errors[0]
                    raise BrokenRosterError(
                        f"{file}: line {number}: {problem.reason}: {first.path}: {first.reason}".replace(": : ", ": ")
                    )
    return projection


def _learn(projection: Projection, line: bytes, tenant: str, clock: Clock) -> Rejected | None:
    parsed = read_json(line)
    if isinstance(parsed, Rejected):
        return parsed
    if isinstance(parsed.value, dict) and "type" not in parsed.value:
        return _learn_participant(projection, parsed.value, tenant, clock)
    verdict = admit(parsed.value, any_scope(parsed.value, tenant), clock, pseudonym=any_pseudonym)
    if isinstance(verdict, Rejected):
        return verdict
    projection.apply(verdict.event)
    return None


def _learn_participant(projection: Projection, value: dict[str, object], tenant: str, clock: Clock) -> Rejected | None:
    of = value.get("tenant", tenant)
    found = read_participant(value, of if isinstance(of, str) else tenant, clock.now)
    if not isinstance(found, Participant):
        return found
    projection.upsert(found)
    return None
