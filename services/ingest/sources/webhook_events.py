"""Choose the model and the translation of a webhook event by the member that holds the event's name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import create_model

from services.ingest.domain.activity import Translation
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import AllowList, allow_list
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.vendor_model import VendorModel, Word, read

EventModel = TypeVar("EventModel", bound=VendorModel)


@dataclass(frozen=True)
class EventTranslator(Generic[EventModel]):
    """`flat` is the model for older payload versions without an envelope."""

    model: type[EventModel]
    translate: Callable[[EventModel], Translation]
    flat: type[EventModel] | None = None


@dataclass(frozen=True)
class WebhookEvents:
    """`member` is the payload's member with the event name. Of an event without a translator only the name is stored,
    and `unused` gives the reason why it is ignored."""

    member: str
    translators: Mapping[str, EventTranslator[Any]]
    unused: Callable[[str], Ignored] = lambda _: Ignored("event_not_used")

    def redact(self, value: object, _settings: object, pseudonym: Pseudonym) -> object:
        name = self._name_in(value)
        allowed = (
            self._allow_lists[""] if isinstance(name, Rejected) else self._allow_lists.get(name, self._allow_lists[""])
        )
        return allowed.redact(value, pseudonym)

    def translate(self, value: object, _settings: object) -> Translation:
        name = self._name_in(value)
        if isinstance(name, Rejected):
            return name
        translator = self.translators.get(name)
        if translator is None:
            return self.unused(name)
        is_wrapped = isinstance(value, dict) and isinstance(value.get("payload"), dict)
        event = read(translator.model if is_wrapped else translator.flat or translator.model, value)
        return event if isinstance(event, Rejected) else translator.translate(event)

    # Cached: every payload needs these, and building pydantic models is slow.
    @cached_property
    def _named(self) -> type[VendorModel]:
        member: dict[str, Any] = {self.member: (Word, ...)}
        return create_model("Named", __base__=VendorModel, **member)

    @cached_property
    def _allow_lists(self) -> Mapping[str, AllowList]:
        """Allow-lists by event name; the empty name is for all other events."""
        allowed = {"": allow_list(self._named)}
        for name, one in self.translators.items():
            models: tuple[type[VendorModel], ...] = (self._named, one.model, one.flat or one.model)
            allowed[name] = allow_list(*models)
        return allowed

    def _name_in(self, value: object) -> str | Rejected:
        name = value.get(self.member) if isinstance(value, dict) else None
        if name and isinstance(name, str):
            return name
        # There is none: the model explains it.
        found = read(self._named, value)
        return found if isinstance(found, Rejected) else str(getattr(found, self.member))
