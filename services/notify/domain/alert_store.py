"""What is known of alerts beside their conditions: who looks after them, who has heard of them, and what has kept them
from people. The same for relationships, programmes and sources."""

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
    """Knows watches by the key of their subject. Whoever derives from it writes down what changes."""

    def __init__(self, watches: dict[str, AnyWatch]) -> None:
        self._watches: dict[str, AnyWatch] = watches

    @abstractmethod
    def _put(self, before: AnyWatch, after: AnyWatch) -> None:
        """The one takes the place of the other."""

    def has_watch(self, key: str) -> bool:
        return key in self._watches

    def watch(self, key: str) -> AnyWatch | None:
        return self._watches.get(key)

    def watches_of(self, tenant: str, programs: Collection[str]) -> list[AnyWatch]:
        """Of these programmes."""
        return [
            watch
            for watch in self._watches.values()
            if watch.subject.tenant == tenant and watch.subject.program in programs
        ]

    def handle(self, key: str, rule: str, handling: Handling, note: str = "") -> None:
        """Somebody looks after the alert of this rule, or does no longer; a note outlives the episode."""
        watch = self._watches[key]
        held = with_handling(watch.handling, rule, handling)
        notes = {**watch.notes, rule: note} if note else watch.notes
        self._put(watch, replace(watch, handling=held, notes=notes))

    def last_notified_episode(self, key: str, rule: str) -> int:
        """The last episode of which somebody was told; 0 before the first."""
        watch = self._watches.get(key)
        state = watch.rules.get(rule) if watch else None
        return state.told if state else 0

    def mark_notified(self, key: str, rule: str, episode: int, heard: Collection[Recipient]) -> None:
        """These will be told of this episode, whatever has become of it since."""
        watch = self._watches.get(key)
        if watch is None or rule not in watch.rules:
            return
        state = watch.rules[rule]
        before: Collection[Recipient] = watch.heard.get(rule, ()) if state.told == episode else ()
        known = {**watch.heard, rule: tuple({one.destination: one for one in (*before, *heard)}.values())}
        muted = {name: silence for name, silence in watch.muted.items() if name != rule}
        rules = {**watch.rules, rule: replace(state, told=episode)}
        self._put(watch, replace(watch, rules=rules, heard=known, muted=muted))

    def notified_recipients(self, key: str, rule: str) -> tuple[Recipient, ...] | None:
        """Who was told of the last episode that anybody was told of; None where that was not written down."""
        watch = self._watches.get(key)
        return watch.heard.get(rule) if watch else None

    def unmark_notified(self, key: str, rule: str, by: Destination) -> None:
        """What this destination would have been told was held, and is not told any more."""
        watch = self._watches.get(key)
        if watch is not None and rule in watch.heard:
            left = tuple(one for one in watch.heard[rule] if one.destination != by)
            self._put(watch, replace(watch, heard={**watch.heard, rule: left}))

    def mark_muted(self, key: str, rule: str, silence: str) -> None:
        """A silence has kept it from people."""
        watch = self._watches.get(key)
        if watch is not None:
            self._put(watch, replace(watch, muted={**watch.muted, rule: silence}))

    def muted_by(self, silence: AlertSilence) -> list[tuple[str, str]]:
        """Open alerts that it has kept from people: the key of the subject, and the rule."""
        return [
            (key, rule)
            for key, watch in self._watches.items()
            if watch.subject.tenant == silence.tenant
            for rule, by in watch.muted.items()
            if by == silence.id and watch.rules[rule].condition in OPEN
        ]

    def release_alerts_of(self, people: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
        """Open alerts that these, by tenant and id, look after, or were told of while nobody else does: they have them
        no longer. The key of the subject, and the rule."""
        found: list[tuple[str, str]] = []
        tenants = {tenant for tenant, _ in people}
        for key, watch in list(self._watches.items()):
            if watch.subject.tenant not in tenants or not watch.is_open:
                continue
            of = {person for tenant, person in people if tenant == watch.subject.tenant}
            for rule in [name for name, state in watch.rules.items() if state.condition in OPEN]:
                handling = watch.handling.get(rule, UNTOUCHED)
                cared_for = [one for one in (handling.by, handling.assignee) if one is not None]
                told = [one for one in watch.heard.get(rule, ()) if one.person in of]
                if not (of & set(cared_for) or (told and not cared_for)):
                    continue
                found.append((key, rule))
                self.handle(key, rule, UNTOUCHED)
                for one in told:
                    self.unmark_notified(key, rule, one.destination)
        return found

    def forget_people(self, people: Collection[tuple[str, str]]) -> None:
        """Of these, by tenant and id, nobody looks after anything any more, and nobody has heard of it."""
        tenants = {tenant for tenant, _ in people}
        for watch in [one for one in self._watches.values() if one.subject.tenant in tenants]:
            of = {person for tenant, person in people if tenant == watch.subject.tenant}
            handling = dict(watch.handling)
            for rule, held in watch.handling.items():
                # What they have put off stays so.
                gone = {name: None for name in ("by", "assignee") if getattr(held, name) in of}
                handling[rule] = held.model_copy(update=gone) if gone else held
            heard = {
                rule: tuple(Recipient(one.destination, None if one.person in of else one.person) for one in known)
                for rule, known in watch.heard.items()
            }
            self._put(watch, replace(watch, handling=handling, heard=heard))
