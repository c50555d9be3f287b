"""What is known of people and pairs while tables are imported: what this import says of them, and what the directory
and the log hold."""

import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property

import click

from schemas.tokens import authenticate
from services.ingest.domain.activity import Person
from services.ingest.domain.admission import Clock, admit
from services.ingest.domain.cloudevents import Parsed, read_json
from services.ingest.domain.ids import any_pseudonym
from services.ingest.domain.people.participants import read_participant
from services.ingest.domain.people.roster import Roster
from services.ingest.domain.scope import any_scope
from services.ingest.domain.verdict import Rejected, rejected
from services.ingest.flow.event_writer import prepare
from services.ingest.flow.people.followers import ProjectionBehindError, projection_now
from services.ingest.flow.tokens import read_tokens
from services.ingest.importing.entry import ImportEntry, refusal
from services.ingest.importing.moments import UncertainError
from services.ingest.importing.sender import PARTICIPANTS_ENDPOINT, Endpoint, ImportAnswer, ImportStoppedError
from services.ingest.settings import IngestSettings
from services.runtime.kafka import KafkaError

# So late a running scoring service no longer remembers enough to correct its rows of the past.
LATE_ROWS_REMEMBERED = timedelta(days=30)
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class LateRows:
    """`late`: lines whose time lies further back than scoring remembers: behind now or, on the log's clock, behind what
    was told before."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now if clock.mode == "wall" else BEGINNING
        self._follows = clock.mode == "log"
        self.late = 0

    def told(self, times: Iterable[str]) -> None:
        """Of one line that is recorded."""
        known = [time for text in times if (time := _read(text))]
        self.late += any(time < self._now - LATE_ROWS_REMEMBERED for time in known if self._now > BEGINNING)
        if self._follows:
            self._now = max([self._now, *known])


def _read(text: str) -> datetime | None:
    """None: no time that could have been recorded."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


# As many as the gateway remembers; beyond, a repeat counts as new, as it would there.
REMEMBERED = 100_000
# Whose they are says the token, which is not asked in a dry run.
TENANT = "dry-run"
NEW, AGAIN = ImportAnswer(202, "recorded"), ImportAnswer(202, "duplicate")


class Rehearsal:
    """A recipient that keeps what it needs to tell repeats, and nothing else."""

    def __init__(self, clock: Callable[[], Clock]) -> None:
        self._clock = clock
        self._recent: OrderedDict[bytes, bytes] = OrderedDict()

    def send(self, messages: Sequence[bytes], endpoint: Endpoint) -> list[ImportAnswer]:
        parsed = [one.value if isinstance(one, Parsed) else one for one in map(read_json, messages)]
        if endpoint is not PARTICIPANTS_ENDPOINT:
            return [refusal(one) if isinstance(one, Rejected) else self._event(one) for one in parsed]
        now = self._clock().now
        read = (one if isinstance(one, Rejected) else read_participant(one, TENANT, now) for one in parsed)
        return [refusal(one) if isinstance(one, Rejected) else NEW for one in read]

    def _event(self, value: object) -> ImportAnswer:
        verdict = admit(value, any_scope(value, TENANT), self._clock(), pseudonym=any_pseudonym)
        if isinstance(verdict, Rejected):
            return refusal(verdict)
        said = prepare(verdict.event)
        known = self._recent.setdefault(said.identity, said.content)
        self._recent.move_to_end(said.identity)
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)
        if known is said.content:
            return NEW
        conflict = rejected("conflict", "id", "this id was used above for another event")
        return AGAIN if known == said.content else refusal(conflict)


GIVEN = "given"
"""Stands for the tenant among those whom this import names."""
NO_TOOL = ""
MOST_NAMED = 10
MOST_COUNTED = 100_000


class Known:
    """`token` may be empty in a dry run: then nothing but what is imported is known."""

    def __init__(self, settings: IngestSettings, token: str) -> None:
        self._settings, self._token = settings, token
        self._given = Roster()
        self._started: set[str] = set()
        self._mentioned: Counter[str] = Counter()

    def learn(self, entry: ImportEntry) -> ImportEntry:
        """What a row says, which is going to be sent."""
        if entry.endpoint is PARTICIPANTS_ENDPOINT:
            for message in entry.messages:
                person = read_participant(json.loads(message), GIVEN, datetime.now(UTC))
                if not isinstance(person, Rejected):
                    self._given.upsert(person)
        elif entry.relationship and entry.messages:
            if entry.relationship in self._mentioned or len(self._mentioned) < MOST_COUNTED:
                self._mentioned[entry.relationship] += 1
        elif entry.messages and len(self._started) < MOST_COUNTED:
            self._started.add(str(json.loads(entry.messages[0]).get("subject")))
        return entry

    def person_at(self, address: str) -> str:
        """Raises UncertainError when it is not one person's, and ImportStoppedError when nobody can tell."""
        found = self._given.identify(GIVEN, NO_TOOL, Person(address=address))
        if not found and self._tenant is not None:
            found = self._roster.identify(self._tenant, NO_TOOL, Person(address=address))
        match sorted(found):
            case [person]:
                return person
            case []:
                raise UncertainError("is no address of the directory: import the directory first, or give the id")
            case several:
                raise UncertainError(f"is an address of {len(several)} people: give the id")

    def undeclared(self) -> str:
        """In words: which relationships were spoken of that nobody has ever declared; empty if there are none."""
        others = {name: count for name, count in self._mentioned.items() if name not in self._started}
        if not others or not self._token:
            return ""
        click.echo("looking whether all relationships are declared", err=True)
        try:
            tenant, roster = self._tenant, self._roster
        except ImportStoppedError as unclear:
            return f"whether all relationships are declared was not found out: {unclear}"
        unknown = {name: n for name, n in others.items() if tenant and not roster.was_started(tenant, name)}
        if not unknown:
            return ""
        named = ", ".join(sorted(unknown)[:MOST_NAMED]) + (" and more" if len(unknown) > MOST_NAMED else "")
        rows = sum(unknown.values())
        return (
            f"{rows} rows speak of {len(unknown)} relationships that nobody has declared, so that nobody can be told "
            f"of them: {named}; import them as a table of relationships"
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
