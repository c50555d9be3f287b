"""A roster in a file, JSONL: events of relationships and sessions, and participants, in any order."""

from pathlib import Path

from schemas.directory import Participant
from services.ingest.domain.admission import admit
from services.ingest.domain.any_scope import any_pseudonym, any_scope
from services.ingest.domain.clock import Clock
from services.ingest.domain.people.handed_in_people import read_participant
from services.ingest.domain.people.roster import Roster
from services.ingest.domain.strict_json import read_json
from services.ingest.domain.tools.knowledge import Knowledge
from services.ingest.domain.verdict import Rejected
from services.ingest.trying.account import PRETENDED_KEY


class BrokenRosterError(Exception):
    """The message names the file, the line and the place in it."""


def read_roster(file: Path, tenant: str, clock: Clock) -> Knowledge:
    """What names no tenant is of this one. Raises BrokenRosterError."""
    knowledge = Knowledge(Roster(PRETENDED_KEY))
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                problem = _learn(knowledge, line, tenant, clock)
                if problem:
                    first = problem.errors[0]
                    raise BrokenRosterError(
                        f"{file}: line {number}: {problem.reason}: {first.path}: {first.reason}".replace(": : ", ": ")
                    )
    return knowledge


def _learn(knowledge: Knowledge, line: bytes, tenant: str, clock: Clock) -> Rejected | None:
    parsed = read_json(line)
    if isinstance(parsed, Rejected):
        return parsed
    if isinstance(parsed.value, dict) and "type" not in parsed.value:
        return _learn_participant(knowledge, parsed.value, tenant, clock)
    verdict = admit(parsed.value, any_scope(parsed.value, tenant), clock, pseudonym=any_pseudonym)
    if isinstance(verdict, Rejected):
        return verdict
    knowledge.hear(verdict.event)
    return None


def _learn_participant(knowledge: Knowledge, value: dict[str, object], tenant: str, clock: Clock) -> Rejected | None:
    of = value.get("tenant", tenant)
    found = read_participant(value, of if isinstance(of, str) else tenant, clock.now)
    if not isinstance(found, Participant):
        return found
    knowledge.learn(found)
    return None
