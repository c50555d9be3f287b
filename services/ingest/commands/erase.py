"""`rapport ingest erase`: removes a person, or relationships, from every store."""

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
from services.ingest.console import command_settings, report_errors
from services.ingest.domain.people.roster import Roster
from services.ingest.flow.log_reading import event_or_none, log_end
from services.ingest.importing.run import HEAL_COMMAND, heal
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

# Other events only matter once per relationship, to learn its programme.
RELATIONSHIP_EVENTS = (b'"mentoring.relationship.', b'"mentoring.event.retracted.')


@dataclass
class Erasable:
    """`programs`: the programme of every relationship on the log, erased or not. `people`: the participants in the
    directory."""

    tenant: str
    roster: Roster = field(default_factory=Roster)
    programs: dict[str, str] = field(default_factory=dict)
    people: set[str] = field(default_factory=set)


def read_erasable(settings: Settings, tenant: str) -> Erasable:
    """Raises KafkaError."""
    erasable, key_prefix = Erasable(tenant), partition_key(tenant, "").encode()
    # Statements that are not merged yet are newer than the directory; merged ones repeat what it holds.
    for topic in (DIRECTORY.name, DIRECTORY_STATEMENTS.name):
        for record in read_to_end(settings, [topic], isolation_level="read_committed"):
            if (record.key or b"").startswith(key_prefix):
                participant = (record.key or b"")[len(key_prefix) :].decode(errors="replace")
                if record.value is None or (topic == DIRECTORY_STATEMENTS.name and _erases(record.value, record.key)):
                    erasable.people.discard(participant)
                else:
                    erasable.people.add(participant)
    events = EVENTS.at(settings.log_epoch)
    partitions = partition_count(settings, events)
    for record in read_to_end(settings, [events]):
        if not (record.key or b"").startswith(key_prefix):
            continue
        relationship = (record.key or b"")[len(key_prefix) :].decode(errors="replace")
        if relationship in erasable.programs and not any(kind in (record.value or b"") for kind in RELATIONSHIP_EVENTS):
            continue
        event = event_or_none(record, partitions)
        if event and not isinstance(event, OfPartition):
            erasable.programs.setdefault(relationship, event.program)
            erasable.roster.apply(event)
    return erasable


def _erases(value: bytes, key: bytes | None) -> bool:
    """Treat a statement that is unreadable, or has another key, as one about an existing person: erasing twice is
    harmless."""
    try:
        statement = DirectoryStatement.model_validate_json(value)
    except ValidationError:
        return False
    return statement.kind == "erases" and statement.key == key


# The gateway answers `conflict` to an erasure that is on the log already with another time.
ACCEPTED_REASONS = frozenset({"recorded", "duplicate", "conflict"})
RETENTION_NOTE = (
    "What tools sent stays until its topics expire it: raw 14 days, rejected 30 days. "
    "Statements about people stay, too (mentoring.directory-statements): 14 days. "
    "The log of events keeps ids, which can no longer be traced back to a person."
)


@dataclass(frozen=True)
class _ErasureRequest:
    tenant: str
    participant: str | None
    relationships: tuple[str, ...]
    source: str
    patience: float


@click.command()
@click.argument("tenant")
@click.option("--participant", metavar="ID", help="Erase this person and every relationship that they were ever in.")
@click.option("--relationship", "relationships", multiple=True, metavar="ID", help="Erase this relationship.")
@click.option("--source", required=True, help="The CloudEvents source of the erasures; one of the token's sources.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--heal", "heals", is_flag=True, help="Then run `rapport scoring heal`, which removes past rows, too.")
@click.option("--url", help="The gateway; default: this machine, RAPPORT_INGEST_PORT.")
@click.option("--token", help="A token with admin scope; default: RAPPORT_INGEST_TOKEN.")
@click.option("--patience", default=300.0, show_default=True, help="Seconds to wait for an unavailable gateway.")
def erase(*, yes: bool, heals: bool, url: str | None, token: str | None, **options: Any) -> None:  # noqa: ANN401 (as click has parsed them)
    """Erase a person or relationships of TENANT from the directory, roster, scores and tables; a replay does not
    restore them. This cannot be undone."""
    request = _ErasureRequest(**options)
    if bool(request.participant) == bool(request.relationships):
        raise click.UsageError("name either --participant or --relationship")
    with report_errors():
        settings = command_settings()
        erasable = read_erasable(settings, request.tenant)
        relationships = _relationships(erasable, request)
        if not yes:
            listed = ", ".join([*filter(None, [request.participant]), *relationships])
            click.confirm(f"Erase of {request.tenant}, for good: {listed or 'nothing'}?", abort=True)
        secret = token or (settings.ingest_token.get_secret_value() if settings.ingest_token else "")
        if not secret:
            raise click.UsageError("give --token or RAPPORT_INGEST_TOKEN, with admin scope")
        client = gateway_client(url or f"http://{settings.host}:{settings.ingest_port}", secret)
        _erase(client, request, _erasure_events(settings, erasable, request, relationships))
        click.echo(
            f"erased: {len(relationships)} relationships" + (f", and {request.participant}" * bool(request.participant))
        )
        click.echo(RETENTION_NOTE, err=True)
        if heals:
            raise SystemExit(heal(settings, request.patience, lambda reason: click.echo(reason, err=True)))
    click.echo(f"rows of scores more than 30 days old go when scoring has caught up, by: {HEAL_COMMAND}", err=True)


def _relationships(erasable: Erasable, request: _ErasureRequest) -> list[str]:
    """Return those that are not erased yet. Raises ClickException for a name that does not exist."""
    if request.participant:
        found = list(erasable.roster.all_relationships(erasable.tenant, request.participant))
        if not found and request.participant not in erasable.people:
            raise click.ClickException(f"there is no participant {request.participant!r} of {request.tenant}")
        return found
    for relationship in request.relationships:
        if relationship not in erasable.programs:
            raise click.ClickException(f"there is no relationship {relationship!r} of {request.tenant} on the log")
        if erasable.roster.is_erased(erasable.tenant, relationship):
            click.echo(f"{relationship} is erased already", err=True)
    return [one for one in dict.fromkeys(request.relationships) if not erasable.roster.is_erased(erasable.tenant, one)]


def _erasure_events(
    settings: IngestSettings, erasable: Erasable, request: _ErasureRequest, relationships: Sequence[str]
) -> list[bytes]:
    now = log_end(settings) if settings.clock == "log" else datetime.now(UTC)
    return [
        json.dumps(
            {
                "specversion": "1.0",
                "type": "mentoring.relationship.erased.v1",
                "source": request.source,
                "id": f"erased-{relationship}",
                "time": to_rfc3339(now),
                "tenant": request.tenant,
                "subject": relationship,
                "program": erasable.programs[relationship],
                "data": {"by": "admin", "evidence": "admin"},
            }
        ).encode()
        for relationship in relationships
    ]


def _erase(client: httpx.Client, request: _ErasureRequest, events: Sequence[bytes]) -> None:
    """Erase relationships first: after an interruption the next call still finds the rest. Raises ClickException."""
    with client:
        sender = Sender(client, request.patience, lambda reason: click.echo(reason, err=True))
        try:
            for begin in range(0, len(events), 100):
                for answer in sender.send(events[begin : begin + 100], EVENTS_ENDPOINT):
                    if answer.reason not in ACCEPTED_REASONS:
                        faults = "; ".join(f"{error['path']}: {error['reason']}" for error in answer.errors)
                        raise click.ClickException(f"not everything is erased: {answer.reason}: {faults}")
            if request.participant:
                deleted = client.delete(f"{PARTICIPANTS_ENDPOINT.path}/{quote(request.participant, safe='')}")
                if deleted.is_error:
                    reason = f"the directory does not forget: {deleted.status_code}: {deleted.text[:200]}"
                    raise click.ClickException(reason)
        except (ImportStoppedError, httpx.TransportError) as away:
            raise click.ClickException(f"not everything is erased, run it again: {away}") from away
