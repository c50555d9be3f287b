"""What people ask, from the topic of commands: of alerts, each act admitted or refused with an event or a log line; and
of deliveries, to send one again or to see it no more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import NamedTuple

from pydantic import ValidationError

from schemas.alert_commands import (
    AlertCommand,
    AlertSilence,
    DigestAt,
    EndSilence,
    OpensWith,
    PutSilence,
    SwitchOff,
    SwitchOn,
)
from schemas.alerts import AlertHandled, Delivery
from services.notify.domain.decisions import alert_handled
from services.notify.domain.handling import UNTOUCHED, ActRefused, acted, note_of, silence_key, silence_of, unsilenced
from services.notify.domain.ids import AlertSubject, alert_key, dedup_key
from services.notify.domain.lifecycle import OPEN
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.preferences import OnSettings, PersonalSettings, settings_after
from services.notify.domain.routing import DecisionContext
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.flow.asking import GivenAlert
from services.notify.flow.report import Metrics
from services.runtime import log
from services.runtime.kafka import Record
from services.runtime.unexpected import error_fields
from services.validation_errors import places

REPLAY, DISCARD = b"replay", b"discard"
HEADER = "rapport-request"


class Requested(NamedTuple):
    """`replay` None: the delivery of that id is discarded."""

    delivery_id: str
    replay: Delivery | None


class DeliveryRequests:
    """Applies records on the thread that follows, from before the restore on: what was asked earlier the restore finds,
    and twice is as once. `taken` is for the thread that decides."""

    def __init__(self) -> None:
        self._requested: SimpleQueue[Requested] = SimpleQueue()

    def apply(self, record: Record) -> None:
        asked = next((value for name, value in record.headers if name == HEADER), None)
        delivery_id = (record.key or b"").decode(errors="replace")
        if asked == DISCARD and record.value is None:
            self._requested.put(Requested(delivery_id, None))
        elif asked == REPLAY and record.value is not None:
            try:
                self._requested.put(Requested(delivery_id, Delivery.model_validate_json(record.value)))
            except ValidationError as invalid:
                log.get(__name__).error("request_unreadable", offset=record.offset, reason="; ".join(places(invalid)))

    def taken(self) -> list[Requested]:
        """Since it was last asked for."""
        return [self._requested.get_nowait() for _ in range(self._requested.qsize())]


NOBODY = "erased"
"""By whom a silence is whose author was erased."""


@dataclass(frozen=True)
class Handled:
    """Events of the acts, and the silences that have changed: None where one is no more; `over`: those. `settings`: of
    people, that they have changed; `given`: alerts that one person has given to another."""

    events: Sequence[AlertHandled] = ()
    silences: Mapping[str, AlertSilence | None] = field(default_factory=dict)
    over: Sequence[AlertSilence] = ()
    settings: Mapping[str, PersonalSettings | None] = field(default_factory=dict)
    given: Sequence[GivenAlert] = ()


class Commanding:
    """Knows the silences; what an act does to an alert lies with the alerts of its partition, or of the subject."""

    def __init__(
        self,
        partition_alerts_by_number: Mapping[int, PartitionAlerts],
        shared: SharedAlerts,
        silences: Mapping[str, AlertSilence],
        context: DecisionContext,
        metrics: Metrics,
    ) -> None:
        self._holders: Sequence[PartitionAlerts | SharedAlerts] = (*partition_alerts_by_number.values(), shared)
        self._metrics = metrics
        self._now, self._calendar = context.now, context.addressing.people.calendar
        self._preferences = context.addressing.preferences
        self._silences = dict(silences)
        self._given: list[GivenAlert] = []
        self._log = log.get(__name__)

    @property
    def silences(self) -> tuple[AlertSilence, ...]:
        return tuple(self._silences.values())

    def take(self, records: Sequence[Record]) -> Handled:
        """In their order. What nobody can read is logged and left on the topic."""
        events, before = list[AlertHandled](), dict(self._silences)
        changed: dict[str, AlertSilence | None] = {}
        settings: dict[str, PersonalSettings | None] = {}
        for record in records:
            try:
                command = AlertCommand.model_validate_json(record.value or b"")
                match command.act:
                    case PutSilence() as act:
                        changed |= self._put(command, act)
                    case EndSilence() as act:
                        changed |= self._end(command, act)
                    case SwitchOff() | SwitchOn() | DigestAt() | OpensWith() as act:
                        settings |= self._set(command, act)
                    case _:
                        events += self._act(command)
            except ValidationError as invalid:
                self._refuse(record, "; ".join(places(invalid)))
            except Exception as failure:  # noqa: BLE001 (refused, logged, and counted)
                found = error_fields(failure)
                self._refuse(record, f"failed: {found['error']} at {found['raised_at']}")
        # Those whose time has come.
        over_now = [key for key, silence in self._silences.items() if silence.until <= self._now()]
        for key in over_now:
            del self._silences[key]
        changed |= dict.fromkeys(over_now)
        over = [before[key] for key, after in changed.items() if after is None and key in before]
        given, self._given = self._given, []
        return Handled(events, changed, over, settings, given)

    def _act(self, command: AlertCommand) -> list[AlertHandled]:
        alert = command.alert
        assert alert is not None, "the schema demands it of every act on an alert"
        key = AlertSubject(command.tenant, alert.subject_kind, alert.subject, program=alert.subject).key
        holders = (alerts for alerts in self._holders if alerts.watches(key))
        holder = next(holders, None)
        watch = holder.watch(key) if holder else None
        state = watch.rules.get(alert.rule) if watch else None
        if holder is None or watch is None or state is None or state.episode == 0:
            self._not_admitted(command, "there is no such alert")
            return []
        if alert.dedup_key != dedup_key(alert_key(watch.subject, alert.rule), state.episode):
            return [alert_handled(watch, command, "a later episode of the alert has begun since", self._now())]
        before = watch.handling.get(alert.rule, UNTOUCHED)
        calendar = self._calendar(command.tenant, watch.subject.program)
        done = acted(before, command, watch.subject, calendar, is_open=state.condition in OPEN)
        if isinstance(done, ActRefused):
            return [alert_handled(watch, command, done.reason, self._now())]
        holder.handle(key, alert.rule, done.handling, note_of(command.act))
        to = command.act.assignee if command.act.kind == "assign" else None
        if to is not None and to not in {command.by, before.assignee} and state.condition in OPEN:
            self._given.append(GivenAlert(watch, alert.rule, to, command.id))
        return [alert_handled(watch, command, done.handling, self._now())]

    def _put(self, command: AlertCommand, act: PutSilence) -> dict[str, AlertSilence | None]:
        silence = silence_of(command, act)
        if isinstance(silence, ActRefused):
            return self._not_admitted(command, silence.reason)
        key = silence_key(command.tenant, act.silence)
        self._silences[key] = silence
        return {key: silence}

    def _end(self, command: AlertCommand, act: EndSilence) -> dict[str, AlertSilence | None]:
        key = silence_key(command.tenant, act.silence)
        refused = unsilenced(command, act, self._silences.get(key))
        if refused is not None:
            return self._not_admitted(command, refused.reason)
        del self._silences[key]
        return {key: None}

    def _set(self, command: AlertCommand, act: OnSettings) -> dict[str, PersonalSettings | None]:
        after = settings_after(self._preferences.of(command.tenant, command.by), act)
        if isinstance(after, ActRefused):
            self._not_admitted(command, after.reason)
            return {}
        self._preferences.put(after)
        return {after.key: after}

    def forget_settings(self, tenant: str, person: str) -> list[str]:
        """Keys of what somebody who was erased had set."""
        return self._preferences.forget(tenant, person)

    def forget(self, tenant: str, person: str) -> dict[str, AlertSilence | None]:
        """Silences of somebody who was erased stay, without saying whose they are. Returns those that have changed."""
        changed = {
            key: silence.model_copy(update={"by": NOBODY})
            for key, silence in self._silences.items()
            if silence.tenant == tenant and silence.by == person
        }
        self._silences |= changed
        return dict(changed)

    def _not_admitted(self, command: AlertCommand, reason: str) -> dict[str, AlertSilence | None]:
        self._metrics.commands_refused.inc()
        self._log.warning("command_refused", id=command.id, tenant=command.tenant, act=command.act.kind, reason=reason)
        return {}

    def _refuse(self, record: Record, reason: str) -> None:
        self._metrics.commands_refused.inc()
        self._log.error("command_unreadable", partition=record.partition, offset=record.offset, reason=reason)
