"""Commands from their topic. Each act on an alert is admitted or refused with an event or a log line; a delivery is
replayed or discarded on request."""

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
from schemas.alerts import MAX_ACT_INPUTS, AlertHandled, Delivery, InputOffset
from services.notify.domain.decisions import alert_handled
from services.notify.domain.handling import (
    UNTOUCHED,
    ActRefused,
    apply_act,
    build_silence,
    check_unsilence,
    note_from,
    silence_key,
)
from services.notify.domain.ids import AlertSubject, alert_key, dedup_key
from services.notify.domain.lifecycle import OPEN
from services.notify.domain.partition_alerts import PartitionAlerts
from services.notify.domain.preferences import PersonalSettings, SettingsAct, settings_after
from services.notify.domain.routing import DecisionContext
from services.notify.domain.shared_alerts import SharedAlerts
from services.notify.flow.escalation import AssignedAlert
from services.notify.flow.report import Metrics
from services.runtime import log
from services.runtime.kafka import Record
from services.runtime.unexpected import error_fields
from services.validation_errors import field_errors

REPLAY, DISCARD = b"replay", b"discard"
HEADER = "rapport-request"


class Requested(NamedTuple):
    """A requested replay; with `replay` None a discard."""

    delivery_id: str
    replay: Delivery | None


class DeliveryRequests:
    """Applies records on the follower's thread, from before the restore on: earlier requests are part of the restored
    state, and applying twice is idempotent. `drain` is for the thread that decides."""

    def __init__(self) -> None:
        self._requested: SimpleQueue[Requested] = SimpleQueue()

    def apply(self, record: Record) -> None:
        request = next((value for name, value in record.headers if name == HEADER), None)
        delivery_id = (record.key or b"").decode(errors="replace")
        if request == DISCARD and record.value is None:
            self._requested.put(Requested(delivery_id, None))
        elif request == REPLAY and record.value is not None:
            try:
                self._requested.put(Requested(delivery_id, Delivery.model_validate_json(record.value)))
            except ValidationError as invalid:
                log.get(__name__).error(
                    "request_unreadable", offset=record.offset, reason="; ".join(field_errors(invalid))
                )

    def drain(self) -> list[Requested]:
        """Return the requests since the last call."""
        return [self._requested.get_nowait() for _ in range(self._requested.qsize())]


NOBODY = "erased"
"""The author of a silence whose author was erased."""


@dataclass(frozen=True)
class CommandResults:
    """The results of a batch of commands: events of acts; changed silences (None: removed); `ended`: the removed ones;
    changed personal `settings`; `assigned` alerts."""

    events: Sequence[AlertHandled] = ()
    silences: Mapping[str, AlertSilence | None] = field(default_factory=dict)
    ended: Sequence[AlertSilence] = ()
    settings: Mapping[str, PersonalSettings | None] = field(default_factory=dict)
    assigned: Sequence[AssignedAlert] = ()


class CommandProcessor:
    """Holds the silences; an act changes the alert in its partition, or in the store of subjects."""

    def __init__(
        self,
        partition_alerts_by_number: Mapping[int, PartitionAlerts],
        shared: SharedAlerts,
        silences: Mapping[str, AlertSilence],
        context: DecisionContext,
        metrics: Metrics,
    ) -> None:
        self._partitions = tuple(partition_alerts_by_number.values())
        self._stores: Sequence[PartitionAlerts | SharedAlerts] = (*self._partitions, shared)
        self._metrics = metrics
        self._now, self._calendar = context.now, context.addressing.people.calendar
        self._preferences = context.addressing.preferences
        self._silences = dict(silences)
        self._assigned: list[AssignedAlert] = []
        self._log = log.get(__name__)

    @property
    def silences(self) -> tuple[AlertSilence, ...]:
        return tuple(self._silences.values())

    def apply(self, records: Sequence[Record]) -> CommandResults:
        """Apply commands in order. An unreadable one is logged and left on the topic."""
        events, before = list[AlertHandled](), dict(self._silences)
        changed: dict[str, AlertSilence | None] = {}
        settings: dict[str, PersonalSettings | None] = {}
        for record in records:
            try:
                command = AlertCommand.model_validate_json(record.value or b"")
                match command.act:
                    case PutSilence() as act:
                        changed |= self._put_silence(command, act)
                    case EndSilence() as act:
                        changed |= self._end_silence(command, act)
                    case SwitchOff() | SwitchOn() | DigestAt() | OpensWith() as act:
                        settings |= self._apply_setting(command, act)
                    case _:
                        events += self._act(command, record)
            except ValidationError as invalid:
                self._refuse_record(record, "; ".join(field_errors(invalid)))
            except Exception as failure:  # noqa: BLE001 (refused, logged, and counted)
                found = error_fields(failure)
                self._refuse_record(record, f"failed: {found['error']} at {found['raised_at']}")
        # Expired silences.
        expired = [key for key, silence in self._silences.items() if silence.until <= self._now()]
        for key in expired:
            del self._silences[key]
        changed |= dict.fromkeys(expired)
        ended = [before[key] for key, after in changed.items() if after is None and key in before]
        assigned, self._assigned = self._assigned, []
        return CommandResults(events, changed, ended, settings, assigned)

    def _act(self, command: AlertCommand, record: Record) -> list[AlertHandled]:
        alert = command.alert
        assert alert is not None, "the schema demands it of every act on an alert"
        key = AlertSubject(command.tenant, alert.subject_kind, alert.subject, program=alert.subject).key
        stores = (alerts for alerts in self._stores if alerts.has_watch(key))
        store = next(stores, None)
        watch = store.watch(key) if store else None
        state = watch.rules.get(alert.rule) if watch else None
        if store is None or watch is None or state is None or state.episode == 0:
            self._refuse_command(command, "there is no such alert")
            return []
        inputs = self._inputs(record, store)
        if alert.dedup_key != dedup_key(alert_key(watch.subject, alert.rule), state.episode):
            return [alert_handled(watch, command, "a later episode of the alert has begun since", self._now(), inputs)]
        before = watch.handling.get(alert.rule, UNTOUCHED)
        calendar = self._calendar(command.tenant, watch.subject.program)
        result = apply_act(before, command, watch.subject, calendar, is_open=state.condition in OPEN)
        if isinstance(result, ActRefused):
            return [alert_handled(watch, command, result.reason, self._now(), inputs)]
        store.set_handling(key, alert.rule, result.handling, note_from(command.act))
        to = command.act.assignee if command.act.kind == "assign" else None
        if to is not None and to not in {command.by, before.assignee} and state.condition in OPEN:
            self._assigned.append(AssignedAlert(watch, alert.rule, to, command.id))
        return [alert_handled(watch, command, result.handling, self._now(), inputs)]

    def _inputs(self, record: Record, store: PartitionAlerts | SharedAlerts) -> tuple[InputOffset, ...]:
        """Return where the act stands among the scores: otherwise nobody could decide again as it was decided."""
        own = InputOffset(topic=record.topic, partition=record.partition, offset=record.offset)
        partitions = (store,) if isinstance(store, PartitionAlerts) else self._partitions
        applied = [one.applied for one in partitions if one.applied is not None]
        return (own, *applied[: MAX_ACT_INPUTS - 1])

    def _put_silence(self, command: AlertCommand, act: PutSilence) -> dict[str, AlertSilence | None]:
        silence = build_silence(command, act)
        if isinstance(silence, ActRefused):
            return self._refuse_command(command, silence.reason)
        key = silence_key(command.tenant, act.silence)
        self._silences[key] = silence
        return {key: silence}

    def _end_silence(self, command: AlertCommand, act: EndSilence) -> dict[str, AlertSilence | None]:
        key = silence_key(command.tenant, act.silence)
        refused = check_unsilence(command, act, self._silences.get(key))
        if refused is not None:
            return self._refuse_command(command, refused.reason)
        del self._silences[key]
        return {key: None}

    def _apply_setting(self, command: AlertCommand, act: SettingsAct) -> dict[str, PersonalSettings | None]:
        after = settings_after(self._preferences.of(command.tenant, command.by), act)
        if isinstance(after, ActRefused):
            self._refuse_command(command, after.reason)
            return {}
        self._preferences.put(after)
        return {after.key: after}

    def forget_settings(self, tenant: str, person: str) -> list[str]:
        """Remove the settings of an erased person. Returns their keys."""
        return self._preferences.forget(tenant, person)

    def forget_author(self, tenant: str, person: str) -> dict[str, AlertSilence | None]:
        """Anonymise the silences of an erased person; they stay in force. Returns those that have changed."""
        changed = {
            key: silence.model_copy(update={"by": NOBODY})
            for key, silence in self._silences.items()
            if silence.tenant == tenant and silence.by == person
        }
        self._silences |= changed
        return dict(changed)

    def _refuse_command(self, command: AlertCommand, reason: str) -> dict[str, AlertSilence | None]:
        self._metrics.commands_refused.inc()
        self._log.warning("command_refused", id=command.id, tenant=command.tenant, act=command.act.kind, reason=reason)
        return {}

    def _refuse_record(self, record: Record, reason: str) -> None:
        self._metrics.commands_refused.inc()
        self._log.error("command_unreadable", partition=record.partition, offset=record.offset, reason=reason)
