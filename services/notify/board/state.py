"""The state of notify in memory: alerts, silences, deliveries, and recent decisions. Follower threads apply records;
any thread reads."""

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
from services.notify.domain.alert_episode import AlertEpisode, episodes_of
from services.notify.domain.name_book import Erased
from services.notify.domain.preferences import ADDRESSES, PERSONS, PersonalSettings, SwitchedOff, personal_key
from services.notify.domain.record import CLOCK_KEY, ClockRecord, WatchRecord, load
from services.notify.domain.subjects import SubjectWatch
from services.notify.domain.watch import Watch
from services.notify.flow.restore import (
    SharedState,
    UnreadableRecordError,
    log_unreadable,
    parse,
    parse_delivery,
    parse_subject,
)
from services.notify.topics import NotifyTopics
from services.runtime import log
from services.runtime.kafka import Record
from services.runtime.unexpected import error_fields
from services.validation_errors import field_errors

MAX_EVENTS = 200
"""Per subject: a month of alerts has far fewer."""
MAX_OUTCOMES = 10_000
SILENCES = "silences"
"""The change key of silences, which belong to no subject."""


class CountedVote(NamedTuple):
    """The last vote on an alert, whoever gave it: as the warehouse counts them."""

    tenant: str
    program: str
    dedup_key: str
    rule: str
    is_useful: bool
    closing: str | None


class BoardState:
    def __init__(self, topics: NotifyTopics) -> None:
        self._topics = topics
        letters = {topics.alert_state: "s", topics.subject_state: "p", topics.shared_state: "n"}
        self._changes = ChangeIndex({**letters, topics.deliveries: "d", topics.alerts: "a"})
        self._lock = threading.Lock()
        self._watches: dict[str, Watch] = {}
        self._subjects: dict[str, SubjectWatch] = {}
        # By subject, for those that have ever fired: most have not.
        self._alerts: dict[str, list[AlertEpisode]] = {}
        self._clocks: dict[int, Instant] = {}
        self._shared = SharedState()
        self._deliveries: dict[str, Delivery] = {}
        self._ids_by_episode: dict[str, set[str]] = defaultdict(set)
        self._events: dict[str, deque[AlertChanged | AlertHandled]] = {}
        self._outcomes: OrderedDict[str, AlertAct] = OrderedDict()
        self._votes: dict[str, CountedVote] = {}
        self._erased: set[str] = set()
        self._tokens: dict[str, BoardToken] = {}
        self._listeners: set[Callable[[], None]] = set()
        self.last_written_at: Instant | None = None

    def apply(self, record: Record) -> None:
        """Apply a record. An unreadable one is logged and skipped."""
        try:
            with self._lock:
                for key in self._apply_record(record):
                    self._changes.record_change(record, key)
        except (UnreadableRecordError, ValidationError) as invalid:
            reason = "; ".join(field_errors(invalid)) if isinstance(invalid, ValidationError) else str(invalid)
            log_unreadable(record, "board_record_unreadable", UnreadableRecordError(reason))
        except Exception as failure:  # noqa: BLE001 (logged; whatever it was, the next record is read)
            log.get(__name__).error("board_record_failed", offset=record.offset, **error_fields(failure))
        for listener in tuple(self._listeners):
            listener()

    def forget(self, erased: Iterable[Erased]) -> None:
        """Remove erased relationships, whatever state notify still has."""
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
        """Return what belongs to the subject: a relationship, a programme or a source."""
        with self._lock:
            return self._watches.get(key) or self._subjects.get(key)

    def alerts(self) -> list[AlertEpisode]:
        """Return the last episode of every alert that has ever fired."""
        with self._lock:
            return [alert for of_subject in self._alerts.values() for alert in of_subject]

    def alerts_of_subject(self, key: str) -> list[AlertEpisode]:
        """Return what belongs to the subject: a relationship, a programme or a source."""
        with self._lock:
            return list(self._alerts.get(key, ()))

    def events(self, subject: str) -> list[AlertChanged | AlertHandled]:
        """Return recent decisions and acts about a subject, the oldest first."""
        with self._lock:
            return list(self._events.get(subject, ()))

    def all_events(self) -> list[AlertChanged | AlertHandled]:
        """Return recent decisions and acts about all subjects."""
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

    def settings_match(self, key: str, act: Act) -> bool:
        """Return whether the settings under that key match the act."""
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
        """Return how many addresses of the person a server has refused for good."""
        with self._lock:
            return sum((one.tenant, one.person) == (tenant, person) for one in self._shared.addresses.values())

    def deliveries(self) -> list[Delivery]:
        with self._lock:
            return list(self._deliveries.values())

    def delivery(self, delivery_id: str) -> Delivery | None:
        with self._lock:
            return self._deliveries.get(delivery_id)

    def deliveries_of_episode(self, dedup_key: str) -> list[Delivery]:
        with self._lock:
            return [self._deliveries[one] for one in sorted(self._ids_by_episode.get(dedup_key, ()))]

    def votes(self) -> list[CountedVote]:
        with self._lock:
            return list(self._votes.values())

    def tokens(self) -> Mapping[str, BoardToken]:
        with self._lock:
            return dict(self._tokens)

    def clocks(self) -> Mapping[int, Instant]:
        """Return up to when each partition of the scores has been decided on."""
        with self._lock:
            return dict(self._clocks)

    def outcome(self, command_id: str) -> AlertAct | None:
        with self._lock:
            return self._outcomes.get(command_id)

    def positions(self) -> Positions:
        with self._lock:
            return self._changes.positions()

    def changes(self, since: Positions) -> SubjectChanges:
        """Return the changes beyond these positions."""
        with self._lock:
            return self._changes.since(since)

    def changes_after(self, count: int) -> SubjectChanges:
        with self._lock:
            return self._changes.after(count)

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call the listener after each record, on the thread that applies it."""
        self._listeners.add(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        self._listeners.discard(listener)

    def _apply_record(self, record: Record) -> list[str]:
        """Apply a record; returns the keys of the subjects that it changes."""
        self._changes.record_position(record)
        key = (record.key or b"").decode(errors="replace")
        if record.topic == self._topics.alert_state:
            self.last_written_at = from_micros(record.timestamp_ms * 1000)
            return self._apply_watch(record, key)
        if record.topic == self._topics.subject_state:
            self._subjects.pop(key, None)
            self._alerts.pop(key, None)
            if record.value is not None:
                self._subjects[key] = watch = parse_subject(key, record.value)
                self._index_alerts(key, watch)
            return [key]
        if record.topic == self._topics.deliveries:
            return self._apply_delivery(record, key)
        if record.topic == self._topics.shared_state:
            self._shared.apply(record)
            return [] if key.startswith((PERSONS, ADDRESSES)) else [SILENCES]
        if record.topic == self._topics.board_tokens:
            # An unreadable token signs nobody in.
            self._tokens.pop(key, None)
            if record.value is not None and (token := BoardToken.model_validate_json(record.value)).token_id == key:
                self._tokens[key] = token
            return []
        return self._apply_event(record)

    def _apply_watch(self, record: Record, key: str) -> list[str]:
        if record.value is None:
            self._drop(key)
            return [key]
        match parse(load, record.value):
            case ClockRecord(clock=clock) if record.key == CLOCK_KEY:
                self._clocks[record.partition] = clock
                return []
            case WatchRecord(watch=watch) if key == watch.subject.key:
                if key not in self._erased:
                    self._watches[key] = watch
                    self._index_alerts(key, watch)
                return [key]
            case _:
                self._drop(key)
                raise UnreadableRecordError("it does not belong to its key")

    def _index_alerts(self, key: str, watch: Watch | SubjectWatch) -> None:
        self._alerts.pop(key, None)
        if alerts := episodes_of(watch):
            self._alerts[key] = alerts

    def _apply_delivery(self, record: Record, key: str) -> list[str]:
        before = self._deliveries.pop(key, None)
        for dedup in _dedup_keys(before):
            self._ids_by_episode[dedup].discard(key)
        if record.value is None:
            return _subjects(before)
        # The body is most of the record, and holds names: the board shows none.
        after = parse_delivery(record).model_copy(update={"body": None})
        self._deliveries[key] = after
        for dedup in _dedup_keys(after):
            self._ids_by_episode[dedup].add(key)
        return _subjects(after)

    def _apply_event(self, record: Record) -> list[str]:
        event = ALERT_EVENT.validate_json(record.value or b"")
        if event.type == "mentoring.delivery.changed.v1":
            return []
        self._events.setdefault(event.partitionkey, deque(maxlen=MAX_EVENTS)).append(event)
        if event.type == "mentoring.alert.handled.v1":
            act = event.data
            if event.causationid is not None:
                self._outcomes[event.causationid] = act
                while len(self._outcomes) > MAX_OUTCOMES:
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


def _dedup_keys(delivery: Delivery | None) -> list[str]:
    return [delivery.dedup_key, *(item.alert.dedup_key for item in delivery.items)] if delivery else []


def _subjects(delivery: Delivery | None) -> list[str]:
    if delivery is None:
        return []
    about = [delivery.relationship, *(item.relationship for item in delivery.items)]
    return [partition_key(delivery.tenant, one) for one in dict.fromkeys(about)]
