"""`rapport ingest erase`: a person, or relationships, forgotten everywhere."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click
import httpx
from pydantic import ValidationError

from schemas.directory import DirectoryStatement
from schemas.events import OfPartition, partition_key
from schemas.primitives import to_rfc3339
from schemas.topics import DIRECTORY, DIRECTORY_STATEMENTS, EVENTS
from services.ingest.console import command_settings, explained
from services.ingest.domain.people.roster import Roster
from services.ingest.flow.log_reading import event_or_none, log_end
from services.ingest.importing.run import COMMAND, heal
from services.ingest.importing.sender import (
    EVENTS_ENDPOINT,
    PARTICIPANTS_ENDPOINT,
    ImportStoppedError,
    Sender,
    gateway_client,
)
from services.ingest.settings import IngestSettings
from services.runtime.kafka import partition_count, read_to_end
from services.runtime.settings import Settings

# Of the others one per relationship is enough, to know its programme.
TELLING = (b'"mentoring.relationship.', b'"mentoring.event.retracted.')


@dataclass
class Erasable:
    """`programs`: of every relationship on the log, whatever is told of it. `people`: those in the directory."""

    tenant: str
    roster: Roster = field(default_factory=Roster)
    programs: dict[str, str] = field(default_factory=dict)
    people: set[str] = field(default_factory=set)


def erasable(settings: Settings, tenant: str) -> Erasable:
    """Raises KafkaError."""
    known, beginning = Erasable(tenant), partition_key(tenant, "").encode()
    # What is said of people, and not merged yet, comes after the directory; what is merged already says the same again.
    for topic in (DIRECTORY.name, DIRECTORY_STATEMENTS.name):
        for record in read_to_end(settings, [topic], isolation_level="read_committed"):
            if (record.key or b"").startswith(beginning):
                participant = (record.key or b"")[len(beginning) :].decode(errors="replace")
                if record.value is None or (topic == DIRECTORY_STATEMENTS.name and _erases(record.value, record.key)):
                    known.people.discard(participant)
                else:
                    known.people.add(participant)
    events = EVENTS.at(settings.log_epoch)
    partitions = partition_count(settings, events)
    for record in read_to_end(settings, [events]):
        if not (record.key or b"").startswith(beginning):
            continue
        relationship = (record.key or b"")[len(beginning) :].decode(errors="replace")
        if relationship in known.programs and not any(words in (record.value or b"") for words in TELLING):
            continue
        event = event_or_none(record, partitions)
        if event and not isinstance(event, OfPartition):
            known.programs.setdefault(relationship, event.program)
            known.roster.apply(event)
    return known


def _erases(value: bytes, key: bytes | None) -> bool:
    """What cannot be read, or lies under another key, may be of somebody: to erase them once more is harmless."""
    try:
        statement = DirectoryStatement.model_validate_json(value)
    except ValidationError:
        return False
    return statement.kind == "erases" and statement.key == key


# An answer of the gateway to an erasure that is on the log already, told at another time.
TAKEN = frozenset({"recorded", "duplicate", "conflict"})
KEPT = (
    "What tools sent lies on for as long as its topics keep it: raw 14 days, rejected 30 days. "
    "So does what was said of people (mentoring.directory-statements): 14 days. "
    "The log of events keeps ids, which nothing leads back to a person any more."
)


@dataclass(frozen=True)
class _Asked:
    tenant: str
    participant: str | None
    relationships: tuple[str, ...]
    source: str
    patience: float


@click.command()
@click.argument("tenant")
@click.option("--participant", metavar="ID", help="The person, and every relationship that they were ever in.")
@click.option("--relationship", "relationships", multiple=True, metavar="ID")
@click.option("--source", required=True, help="For which the token may speak.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--heal", "heals", is_flag=True, help="Then run `rapport scoring heal`: rows of the past go too.")
@click.option("--url", help="Of the gateway; default: on this machine, RAPPORT_INGEST_PORT.")
@click.option("--token", help="With admin scope; default: RAPPORT_INGEST_TOKEN.")
@click.option("--patience", default=300.0, show_default=True, help="Seconds the gateway may stay away.")
def erase(*, yes: bool, heals: bool, url: str | None, token: str | None, **options: Any) -> None:  # noqa: ANN401 (as click has parsed them)
    """Erase a person or relationships of TENANT: the directory, roster, scores and tables forget them, and a replay
    brings nothing back. It cannot be undone."""
    asked = _Asked(**options)
    if bool(asked.participant) == bool(asked.relationships):
        raise click.UsageError("name either --participant or --relationship")
    with explained():
        settings = command_settings()
        known = erasable(settings, asked.tenant)
        relationships = _relationships(known, asked)
        if not yes:
            listed = ", ".join([*filter(None, [asked.participant]), *relationships])
            click.confirm(f"Erase of {asked.tenant}, for good: {listed or 'nothing'}?", abort=True)
        secret = token or (settings.ingest_token.get_secret_value() if settings.ingest_token else "")
        if not secret:
            raise click.UsageError("give --token or RAPPORT_INGEST_TOKEN, with admin scope")
        client = gateway_client(url or f"http://{settings.host}:{settings.ingest_port}", secret)
        _erase(client, asked, _events(settings, known, asked, relationships))
        click.echo(
            f"erased: {len(relationships)} relationships" + (f", and {asked.participant}" * bool(asked.participant))
        )
        click.echo(KEPT, err=True)
        if heals:
            raise SystemExit(heal(settings, asked.patience, lambda words: click.echo(words, err=True)))
    click.echo(f"rows of scores more than 30 days old go when scoring has caught up, by: {COMMAND}", err=True)


def _relationships(known: Erasable, asked: _Asked) -> list[str]:
    """Those that are not erased yet. Raises ClickException for a name that nobody knows."""
    if asked.participant:
        found = list(known.roster.ever(known.tenant, asked.participant))
        if not found and asked.participant not in known.people:
            raise click.ClickException(f"nothing is known of a participant {asked.participant!r} of {asked.tenant}")
        return found
    for relationship in asked.relationships:
        if relationship not in known.programs:
            raise click.ClickException(f"there is no relationship {relationship!r} of {asked.tenant} on the log")
        if known.roster.is_erased(known.tenant, relationship):
            click.echo(f"{relationship} is erased already", err=True)
    return [one for one in dict.fromkeys(asked.relationships) if not known.roster.is_erased(known.tenant, one)]


def _events(settings: IngestSettings, known: Erasable, asked: _Asked, relationships: Sequence[str]) -> list[bytes]:
    now = log_end(settings) if settings.clock == "log" else datetime.now(UTC)
    return [
        json.dumps(
            {
                "specversion": "1.0",
                "type": "mentoring.relationship.erased.v1",
                "source": asked.source,
                "id": f"erased-{relationship}",
                "time": to_rfc3339(now),
                "tenant": asked.tenant,
                "subject": relationship,
                "program": known.programs[relationship],
                "data": {"by": "admin", "evidence": "admin"},
            }
        ).encode()
        for relationship in relationships
    ]


def _erase(client: httpx.Client, asked: _Asked, events: Sequence[bytes]) -> None:
    """Relationships first: cut off in between, the next call still finds what is left. Raises ClickException."""
    with client:
        sender = Sender(client, asked.patience, lambda words: click.echo(words, err=True))
        try:
            for begin in range(0, len(events), 100):
                for answer in sender.send(events[begin : begin + 100], EVENTS_ENDPOINT):
                    if answer.reason not in TAKEN:
                        faults = "; ".join(f"{error['path']}: {error['reason']}" for error in answer.errors)
                        raise click.ClickException(f"not everything is erased: {answer.reason}: {faults}")
            if asked.participant:
                deleted = client.delete(f"{PARTICIPANTS_ENDPOINT.path}/{quote(asked.participant, safe='')}")
                if deleted.is_error:
                    words = f"the directory does not forget: {deleted.status_code}: {deleted.text[:200]}"
                    raise click.ClickException(words)
        except (ImportStoppedError, httpx.TransportError) as away:
            raise click.ClickException(f"not everything is erased, run it again: {away}") from away
