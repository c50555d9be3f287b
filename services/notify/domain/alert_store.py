"""State of alerts beside their conditions: handling, notified recipients, and mutes. Shared by relationships,
programmes and sources."""

from abc import abstractmethod
from collections.abc import Collection
from dataclasses import replace
from typing import Generic, TypeVar

from schemas.alert_commands import AlertSilence
from schemas.alerts import Handling
from services.notify.domain.handling import UNTOUCHED, with_handling
from services.notify.domain.ids import Destination, Recipient
from services.notify.domain.lifecycle import OPEN
from services.notify.domain.subjects import SubjectWatch
from services.notify.domain.watch import Watch

AnyWatch = TypeVar("AnyWatch", Watch, SubjectWatch)


class AlertStore(Generic[AnyWatch]):
    """Holds watches by the key of their subject. Subclasses record what changes."""

    def __init__(self, watches: dict[str, AnyWatch]) -> None:
        self._watches: dict[str, AnyWatch] = watches

    @abstractmethod
    def _put(self, before: AnyWatch, after: AnyWatch) -> None:
        """Replace the watch."""

    def has_watch(self, key: str) -> bool:
        return key in self._watches

    def watch(self, key: str) -> AnyWatch | None:
        return self._watches.get(key)

    def watches_of(self, tenant: str, programs: Collection[str]) -> list[AnyWatch]:
        """Return the watches of these programmes."""
        return [
            watch
            for watch in self._watches.values()
            if watch.subject.tenant == tenant and watch.subject.program in programs
        ]

    def set_handling(self, key: str, rule: str, handling: Handling, note: str = "") -> None:
        """Set who handles the alert of this rule; a note outlives the episode."""
        watch = self._watches[key]
        updated = with_handling(watch.handling, rule, handling)
        notes = {**watch.notes, rule: note} if note else watch.notes
        self._put(watch, replace(watch, handling=updated, notes=notes))

    def last_notified_episode(self, key: str, rule: str) -> int:
        """Return the last episode that somebody was notified of; 0 before the first."""
        watch = self._watches.get(key)
        state = watch.rules.get(rule) if watch else None
        return state.told if state else 0

    def mark_notified(self, key: str, rule: str, episode: int, recipients: Collection[Recipient]) -> None:
        """Record the recipients of this episode, whatever has become of it since."""
        watch = self._watches.get(key)
        if watch is None or rule not in watch.rules:
            return
        state = watch.rules[rule]
        before: Collection[Recipient] = watch.heard.get(rule, ()) if state.told == episode else ()
        notified = {**watch.heard, rule: tuple({one.destination: one for one in (*before, *recipients)}.values())}
        muted = {name: silence for name, silence in watch.muted.items() if name != rule}
        rules = {**watch.rules, rule: replace(state, told=episode)}
        self._put(watch, replace(watch, rules=rules, heard=notified, muted=muted))

    def notified_recipients(self, key: str, rule: str) -> tuple[Recipient, ...] | None:
        """Return the recipients of the last episode that anybody was notified of; None where that was not recorded."""
        watch = self._watches.get(key)
        return watch.heard.get(rule) if watch else None

    def unmark_notified(self, key: str, rule: str, by: Destination) -> None:
        """Remove a destination whose held notice is not sent any more."""
        watch = self._watches.get(key)
        if watch is not None and rule in watch.heard:
            left = tuple(one for one in watch.heard[rule] if one.destination != by)
            self._put(watch, replace(watch, heard={**watch.heard, rule: left}))

    def mark_muted(self, key: str, rule: str, silence: str) -> None:
        """Record the silence that has kept the alert from people."""
        watch = self._watches.get(key)
        if watch is not None:
            self._put(watch, replace(watch, muted={**watch.muted, rule: silence}))

    def muted_by(self, silence: AlertSilence) -> list[tuple[str, str]]:
        """Return open alerts that this silence has muted: the key of the subject, and the rule."""
        return [
            (key, rule)
            for key, watch in self._watches.items()
            if watch.subject.tenant == silence.tenant
            for rule, by in watch.muted.items()
            if by == silence.id and watch.rules[rule].condition in OPEN
        ]

    def release_alerts_of(self, people: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
        """Release the open alerts that these people, by tenant and id, handle, or were notified of while nobody else
        handles them. Returns the key of the subject, and the rule."""
        found: list[tuple[str, str]] = []
        tenants = {tenant for tenant, _ in people}
        for key, watch in list(self._watches.items()):
            if watch.subject.tenant not in tenants or not watch.is_open:
                continue
            persons = {person for tenant, person in people if tenant == watch.subject.tenant}
            for rule in [name for name, state in watch.rules.items() if state.condition in OPEN]:
                handling = watch.handling.get(rule, UNTOUCHED)
                handlers = [one for one in (handling.by, handling.assignee) if one is not None]
                notified = [one for one in watch.heard.get(rule, ()) if one.person in persons]
                if not (persons & set(handlers) or (notified and not handlers)):
                    continue
                found.append((key, rule))
                self.set_handling(key, rule, UNTOUCHED)
                for one in notified:
                    self.unmark_notified(key, rule, one.destination)
        return found

    def forget_people(self, people: Collection[tuple[str, str]]) -> None:
        """Remove these people, by tenant and id, from handling and from the notified recipients."""
        tenants = {tenant for tenant, _ in people}
        for watch in [one for one in self._watches.values() if one.subject.tenant in tenants]:
            persons = {person for tenant, person in people if tenant == watch.subject.tenant}
            handling = dict(watch.handling)
            for rule, held in watch.handling.items():
                # An acknowledgement or a snooze of theirs stays in force.
                gone = {name: None for name in ("by", "assignee") if getattr(held, name) in persons}
                handling[rule] = held.model_copy(update=gone) if gone else held
            heard = {
                rule: tuple(
                    Recipient(one.destination, None if one.person in persons else one.person) for one in recipients
                )
                for rule, recipients in watch.heard.items()
            }
            self._put(watch, replace(watch, handling=handling, heard=heard))
