"""What people ask of deliveries by command: to send one again, or to see it no more. It stands on the topic of the
deliveries itself: whether notify runs or starts later, it finds it there."""

from queue import Empty, SimpleQueue
from typing import NamedTuple

from pydantic import ValidationError

from schemas.alerts import Delivery
from services.runtime import log
from services.runtime.kafka import Record
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
        found: list[Requested] = []
        while True:
            try:
                found.append(self._requested.get_nowait())
            except Empty:
                return found
