"""People and relationships during an import: those that it writes itself, and those of the directory and the log."""

import json
from collections import Counter
from datetime import UTC, datetime
from functools import cached_property

import click

from schemas.tokens import authenticate
from services.ingest.domain.activity import Person
from services.ingest.domain.people.participants import read_participant
from services.ingest.domain.people.roster import Roster
from services.ingest.domain.verdict import Rejected
from services.ingest.flow.people.followers import ProjectionBehindError, projection_now
from services.ingest.flow.tokens import read_tokens
from services.ingest.importing.cell_formats import InvalidCellError
from services.ingest.importing.entry import ImportEntry
from services.ingest.importing.sender import PARTICIPANTS_ENDPOINT, ImportStoppedError
from services.ingest.settings import IngestSettings
from services.runtime.kafka import KafkaError

IMPORT_TENANT = "given"
"""Stands for the tenant of the people whom this import writes."""
NO_TOOL = ""
MAX_NAMED = 10
MAX_COUNTED = 100_000


class ImportProjection:
    """`token` may be empty in a dry run: then only what the import itself writes is known."""

    def __init__(self, settings: IngestSettings, token: str) -> None:
        self._settings, self._token = settings, token
        self._imported = Roster()
        self._started: set[str] = set()
        self._mentioned: Counter[str] = Counter()

    def apply(self, entry: ImportEntry) -> ImportEntry:
        """Apply an entry that is about to be sent."""
        if entry.endpoint is PARTICIPANTS_ENDPOINT:
            for message in entry.messages:
                person = read_participant(json.loads(message), IMPORT_TENANT, datetime.now(UTC))
                if not isinstance(person, Rejected):
                    self._imported.upsert(person)
        elif entry.relationship and entry.messages:
            if entry.relationship in self._mentioned or len(self._mentioned) < MAX_COUNTED:
                self._mentioned[entry.relationship] += 1
        elif entry.messages and len(self._started) < MAX_COUNTED:
            self._started.add(str(json.loads(entry.messages[0]).get("subject")))
        return entry

    def resolve_address(self, address: str) -> str:
        """Return the participant id. Raises InvalidCellError unless the address belongs to exactly one person, and
        ImportStoppedError when the directory cannot be read."""
        matches = self._imported.identify(IMPORT_TENANT, NO_TOOL, Person(address=address))
        if not matches and self._tenant is not None:
            matches = self._roster.identify(self._tenant, NO_TOOL, Person(address=address))
        match sorted(matches):
            case [person]:
                return person
            case []:
                raise InvalidCellError("is no address of the directory: import the directory first, or give the id")
            case several:
                raise InvalidCellError(f"is an address of {len(several)} people: give the id")

    def undeclared_relationships(self) -> str:
        """Return a message about the relationships that rows refer to and that were never declared; empty if there are
        none."""
        others = {name: count for name, count in self._mentioned.items() if name not in self._started}
        if not others or not self._token:
            return ""
        click.echo("checking whether all relationships are declared", err=True)
        try:
            tenant, roster = self._tenant, self._roster
        except ImportStoppedError as unclear:
            return f"could not check whether all relationships are declared: {unclear}"
        missing = {name: n for name, n in others.items() if tenant and not roster.was_started(tenant, name)}
        if not missing:
            return ""
        named = ", ".join(sorted(missing)[:MAX_NAMED]) + (" and more" if len(missing) > MAX_NAMED else "")
        rows = sum(missing.values())
        return (
            f"{rows} rows refer to {len(missing)} relationships that were never declared, so their "
            f"alerts reach nobody: {named}; import them as a table of relationships"
        )

    @cached_property
    def _tenant(self) -> str | None:
        if not self._token:
            return None
        try:
            token = authenticate(self._token, read_tokens(self._settings))
        except KafkaError as away:
            raise ImportStoppedError(f"the directory cannot be read, the broker does not answer: {away}") from away
        return token.tenant if token else None

    @cached_property
    def _roster(self) -> Roster:
        try:
            return projection_now(self._settings).roster
        except KafkaError as away:
            raise ImportStoppedError(f"the directory cannot be read, the broker does not answer: {away}") from away
        except ProjectionBehindError as behind:
            raise ImportStoppedError(str(behind)) from behind
