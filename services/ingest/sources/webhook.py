"""Webhooks that say in one member what happened: with which model each is read, and what is made of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from services.ingest.domain.activity import Translation
from services.ingest.domain.ids import Pseudonym
from services.ingest.domain.tools.allow_list import AllowList, allow_list
from services.ingest.domain.verdict import Ignored, Rejected
from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.vendor_model import VendorModel, read

Told = TypeVar("Told", bound=VendorModel)


@dataclass(frozen=True)
class EventReading(Generic[Told]):
    """`flat` is the model of a payload that older versions send without an envelope."""

    model: type[Told]
    translate: Callable[[Told], Translation]
    flat: type[Told] | None = None

    def of(self, value: object) -> Translation:
        model = self.model
        if self.flat and not (isinstance(value, dict) and isinstance(value.get("payload"), dict)):
            model = self.flat
        told = read(model, value)
        return told if isinstance(told, Rejected) else self.translate(told)


@dataclass(frozen=True)
class WebhookEvents:
    """`named` is a model of one member, the name of what happened. Of what has no reading nothing but its name is kept,
    and `unused` says why it is ignored."""

    named: type[VendorModel]
    readings: Mapping[str, EventReading[Any]]
    unused: Callable[[str], Ignored] = lambda _: Ignored("event_not_used")

    def keep(self, value: object, _settings: ToolSettings, pseudonym: Pseudonym) -> object:
        name = self._name_in(value)
        kept = self._kept[""] if isinstance(name, Rejected) else self._kept.get(name, self._kept[""])
        return kept.kept(value, pseudonym)

    def translate(self, value: object, _settings: ToolSettings) -> Translation:
        name = self._name_in(value)
        if isinstance(name, Rejected):
            return name
        reading = self.readings.get(name)
        return reading.of(value) if reading else self.unused(name)

    # Every payload asks for these, and they are made slowly.
    @cached_property
    def _kept(self) -> Mapping[str, AllowList]:
        """By the name of what happened; of all others under no name."""
        kept = {"": allow_list(self.named)}
        for name, one in self.readings.items():
            models: tuple[type[VendorModel], ...] = (self.named, one.model, one.flat or one.model)
            kept[name] = allow_list(*models)
        return kept

    @cached_property
    def _member(self) -> str:
        return next(iter(self.named.model_fields))

    def _name_in(self, value: object) -> str | Rejected:
        found = read(self.named, value)
        return found if isinstance(found, Rejected) else str(getattr(found, self._member))
