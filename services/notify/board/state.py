"""What notify has written down, in memory: alerts, silences, deliveries, and what was decided of late. Threads
that follow apply records; any thread reads."""

import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pydantic import ValidationError

from schemas.alert_commands import Act, AlertSilence, DigestAt, OpensWith, SwitchOff, SwitchOn
from schemas.alerts import ALERT_EVENT, AlertAct, AlertChanged, AlertHandled, Delivery
from schemas.events import partition_key
from schemas.primitives import Instant, from_micros
from schemas.tokens import BoardToken
from services.notify.board.changes import ChangeIndex, Positions, SubjectChanges
from services.notify.domain.known_alert import KnownAlert, alerts_of
from services.notify.domain.name_book import Erased
from services.notify.domain.preferences import ADDRESSES, PERSONS, PersonalSettings, SwitchedOff, personal_key
from services.notify.domain.record import CLOCK_KEY, ClockRecord, WatchRecord, load
from services.notify.domain.subjects import SubjectWatch
from services.notify.domain.watch import Watch
from services.notify.flow.restore import (
    SharedState,
    UnreadableRecordError,
    delivery_of,
    log_unreadable,
    parsed,
    subject_of,
)
from services.notify.names import Names
from services.runtime import log
from services.runtime.kafka import Record
from services.runtime.unexpected import error_fields
from services.validation_errors import places

MOST_EVENTS = 200
"""Of a subject: its alerts of a month are told by far fewer."""
MOST_OUTCOMES = 10_000
SILENCES = "silences"
"""What changes of them is about no subject."""


class CountedVote(NamedTuple):
    """The last one on an alert, whoever gave it: as the warehouse counts them."""

    tenant: str
    program: str
    dedup_key: str
    rule: str
    is_useful: bool
    closing: str | None


class BoardState:
    def __init__(self, names: Names) -> None:
        self._names = names
        letters = {names.alert_state: "s", names.subject_state: "p", names.shared_state: "n"}
        self._changes = ChangeIndex({**letters, names.deliveries: "d", names.alerts: "a"})
        self._lock = threading.Lock()
        self._watches: dict[str, Watch] = {}
        self._subjects: dict[str, SubjectWatch] = {}
        # By subject, of those that have ever fired: most have not.
        self._alerts: dict[str, list[KnownAlert]] = {}
        self._clocks: dict[int, Instant] = {}
        self._shared = SharedState()
        self._deliveries: dict[str, Delivery] = {}
        self._of_episode: dict[str, set[str]] = defaultdict(set)
        self._events: dict[str, deque[AlertChanged | AlertHandled]] = {}
        self._outcomes: OrderedDict[str, AlertAct] = OrderedDict()
        self._votes: dict[str, CountedVote] = {}
        self._erased: set[str] = set()
        self._tokens: dict[str, BoardToken] = {}
        self._listeners: set[Callable[[], None]] = set()
        self.written_at: Instant | None = None

    def apply(self, record: Record) -> None:
        """What cannot be read is logged, and shown by nothing."""
        try:
            with self._lock:
                for key in self._applied(record):
                    self._changes.note(record, key)
        except (UnreadableRecordError, ValidationError) as invalid:
            reason = "; ".join(places(invalid)) if isinstance(invalid, ValidationError) else str(invalid)
            log_unreadable(record, "board_record_unreadable", UnreadableRecordError(reason))
        except Exception as failure:  # noqa: BLE001 (logged; whatever it was, the next record is read)
            log.get(__name__).error("board_record_failed", offset=record.offset, **error_fields(failure))
        for listener in tuple(self._listeners):
            listener()

    def forget(self, erased: Iterable[Erased]) -> None:
        """Relationships that are erased: the board shows nothing of them, whatever notify still has."""
        with self._lock:
            for one in erased:
                if one.kind == "relationship":
                    key = partition_key(one.tenant, one.id)
                    self._erased.add(key)
                    self._drop(key)

    def watches(self) -> list[Watch]:
        with self._lock:
            return list(self._watches.values())

    def watch(self, key: str) -> Watch | None:
        with self._lock:
            return self._watches.get(key)

    def any_watch(self, key: str) -> Watch | SubjectWatch | None:
        """Of a relationship, a programme or a source."""
        with self._lock:
            return self._watches.get(key) or self._subjects.get(key)

    def alerts(self) -> list[KnownAlert]:
        """The last episode of every alert that has ever fired."""
        with self._lock:
            return [alert for of_subject in self._alerts.values() for alert in of_subject]

    def alerts_about(self, key: str) -> list[KnownAlert]:
        """Of a relationship, a programme or a source."""
        with self._lock:
            return list(self._alerts.get(key, ()))

    def events(self, subject: str) -> list[AlertChanged | AlertHandled]:
        """What was decided and done about a subject of late, the oldest first."""
        with self._lock:
            return list(self._events.get(subject, ()))

    def every_event(self) -> list[AlertChanged | AlertHandled]:
        """As `events`, about all subjects."""
        with self._lock:
            return [event for of_subject in self._events.values() for event in of_subject]

    def silences(self) -> list[AlertSilence]:
        with self._lock:
            return list(self._shared.silences.values())

    def silence(self, key: str) -> AlertSilence | None:
        with self._lock:
            return self._shared.silences.get(key)

    def personal(self, tenant: str, person: str) -> PersonalSettings:
        with self._lock:
            found = self._shared.personal.get(personal_key(tenant, person))
        return found or PersonalSettings(tenant=tenant, person=person)

    def personal_has(self, key: str, act: Act) -> bool:
        """Whether the settings under that key are as the act asks for."""
        with self._lock:
            found = self._shared.personal.get(key)
        match act:
            case DigestAt(at=at):
                return found is not None and found.digest_at == at
            case OpensWith(scope=scope):
                return found is not None and found.scope == scope
            case SwitchOff() | SwitchOn():
                one = SwitchedOff(rule=act.rule, relationship=act.relationship)
                return found is not None and (one in found.off) == isinstance(act, SwitchOff)
            case _:
                raise ValueError("it is no act on settings")

    def refused_addresses(self, tenant: str, person: str) -> int:
        """How many addresses of the person a server has refused for good."""
        with self._lock:
            return sum((one.tenant, one.person) == (tenant, person) for one in self._shared.addresses.values())

    def deliveries(self) -> list[Delivery]:
        with self._lock:
            return list(self._deliveries.values())

    def delivery(self, delivery_id: str) -> Delivery | None:
        with self._lock:
            return self._deliveries.get(delivery_id)

    def deliveries_of(self, dedup_key: str) -> list[Delivery]:
        with self._lock:
            return [self._deliveries[one] for one in sorted(self._of_episode.get(dedup_key, ()))]

    def votes(self) -> list[CountedVote]:
        with self._lock:
            return list(self._votes.values())

    def tokens(self) -> Mapping[str, BoardToken]:
        with self._lock:
            return dict(self._tokens)

    def clocks(self) -> Mapping[int, Instant]:
        """Up to when each partition of the scores has been decided on."""
        with self._lock:
            return dict(self._clocks)

    def outcome(self, command_id: str) -> AlertAct | None:
        with self._lock:
            return self._outcomes.get(command_id)

    def positions(self) -> Positions:
        with self._lock:
            return self._changes.positions()

    def changes(self, since: Positions) -> SubjectChanges:
        """Of all that lies beyond these positions."""
        with self._lock:
            return self._changes.since(since)

    def changes_after(self, count: int) -> SubjectChanges:
        with self._lock:
            return self._changes.after(count)

    def listen(self, listener: Callable[[], None]) -> None:
        """It is called after each record, on the thread that applies it."""
        self._listeners.add(listener)

    def ignore(self, listener: Callable[[], None]) -> None:
        self._listeners.discard(listener)

    def _applied(self, record: Record) -> list[str]:
        """The keys of the subjects that it is about."""
        self._changes.reach(record)
        key = (record.key or b"").decode(errors="replace")
        if record.topic == self._names.alert_state:
            self.written_at = from_micros(record.timestamp_ms * 1000)
            return self._state(record, key)
        if record.topic == self._names.subject_state:
            self._subjects.pop(key, None)
            self._alerts.pop(key, None)
            if record.value is not None:
                self._subjects[key] = watch = subject_of(key, record.value)
                self._know(key, watch)
            return [key]
        if record.topic == self._names.deliveries:
            return self._delivery(record, key)
        if record.topic == self._names.shared_state:
            self._shared.apply(record)
            return [] if key.startswith((PERSONS, ADDRESSES)) else [SILENCES]
        if record.topic == self._names.board_tokens:
            # What signs in and cannot be read signs nobody in.
            self._tokens.pop(key, None)
            if record.value is not None and (token := BoardToken.model_validate_json(record.value)).token_id == key:
                self._tokens[key] = token
            return []
        return self._event(record)

    def _state(self, record: Record, key: str) -> list[str]:
        if record.value is None:
            self._drop(key)
            return [key]
        match parsed(load, record.value):
            case ClockRecord(clock=clock) if record.key == CLOCK_KEY:
                self._clocks[record.partition] = clock
                return []
            case WatchRecord(watch=watch) if key == watch.subject.key:
                if key not in self._erased:
                    self._watches[key] = watch
                    self._know(key, watch)
                return [key]
            case _:
                self._drop(key)
                raise UnreadableRecordError("it does not belong to its key")

    def _know(self, key: str, watch: Watch | SubjectWatch) -> None:
        self._alerts.pop(key, None)
        if alerts := alerts_of(watch):
            self._alerts[key] = alerts

    def _delivery(self, record: Record, key: str) -> list[str]:
        before = self._deliveries.pop(key, None)
        for dedup in _episodes(before):
            self._of_episode[dedup].discard(key)
        if record.value is None:
            return _subjects(before)
        # The body is most of it, and holds names: the board shows none.
        after = delivery_of(record).model_copy(update={"body": None})
        self._deliveries[key] = after
        for dedup in _episodes(after):
            self._of_episode[dedup].add(key)
        return _subjects(after)

    def _event(self, record: Record) -> list[str]:
        event = ALERT_EVENT.validate_json(record.value or b"")
        if event.type == "mentoring.delivery.changed.v1":
            return []
        self._events.setdefault(event.partitionkey, deque(maxlen=MOST_EVENTS)).append(event)
        if event.type == "mentoring.alert.handled.v1":
            act = event.data
            if event.causationid is not None:
                self._outcomes[event.causationid] = act
                while len(self._outcomes) > MOST_OUTCOMES:
                    self._outcomes.popitem(last=False)
            if act.verdict is not None and act.refused is None:
                useful = act.verdict == "useful"
                vote = CountedVote(event.tenant, event.program, act.dedup_key, act.rule, useful, act.closing)
                self._votes[act.dedup_key] = vote
        return [event.partitionkey]

    def _drop(self, key: str) -> None:
        self._watches.pop(key, None)
        self._alerts.pop(key, None)
        self._events.pop(key, None)


def _episodes(delivery: Delivery | None) -> list[str]:
    return [delivery.dedup_key, *(item.alert.dedup_key for item in delivery.items)] if delivery else []


def _subjects(delivery: Delivery | None) -> list[str]:
    if delivery is None:
        return []
    about = [delivery.relationship, *(item.relationship for item in delivery.items)]
    return [partition_key(delivery.tenant, one) for one in dict.fromkeys(about)]
