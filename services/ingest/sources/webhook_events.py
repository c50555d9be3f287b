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

Told = TypeVar("Told", bound=VendorModel)


@dataclass(frozen=True)
class EventReading(Generic[Told]):
    """`flat` is the model for older payload versions without an envelope."""

    model: type[Told]
    translate: Callable[[Told], Translation]
    flat: type[Told] | None = None


@dataclass(frozen=True)
class WebhookEvents:
    """`member` is the payload's member with the event name. Of an event without a translator only the name is stored,
    and `unused` gives the reason why it is ignored."""

    member: str
    readings: Mapping[str, EventReading[Any]]
    unused: Callable[[str], Ignored] = lambda _: Ignored("event_not_used")

    def keep(self, value: object, _settings: object, pseudonym: Pseudonym) -> object:
        name = self._name_in(value)
        kept = self._kept[""] if isinstance(name, Rejected) else self._kept.get(name, self._kept[""])
        return kept.kept(value, pseudonym)

    def translate(self, value: object, _settings: object) -> Translation:
        name = self._name_in(value)
        if isinstance(name, Rejected):
            return name
        reading = self.readings.get(name)
        if reading is None:
            return self.unused(name)
        is_wrapped = isinstance(value, dict) and isinstance(value.get("payload"), dict)
        told = read(reading.model if is_wrapped else reading.flat or reading.model, value)
        return told if isinstance(told, Rejected) else reading.translate(told)

    # Cached: every payload needs these, and building pydantic models is slow.
    @cached_property
    def _named(self) -> type[VendorModel]:
        member: dict[str, Any] = {self.member: (Word, ...)}
        return create_model("Named", __base__=VendorModel, **member)

    @cached_property
    def _kept(self) -> Mapping[str, AllowList]:
        """Allow-lists by event name; the empty name is for all other events."""
        kept = {"": allow_list(self._named)}
        for name, one in self.readings.items():
            models: tuple[type[VendorModel], ...] = (self._named, one.model, one.flat or one.model)
            kept[name] = allow_list(*models)
        return kept

    def _name_in(self, value: object) -> str | Rejected:
        found = read(self._named, value)
        return found if isinstance(found, Rejected) else str(getattr(found, self.member))
