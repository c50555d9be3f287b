"""The PagerDuty channel: Events API v2. It knows an incident by its `dedup_key`, so that a repeat changes nothing."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.channels.answers import of_pagerduty
from services.notify.channels.posting import JSON, HttpTarget, Poster
from services.notify.domain.verdict import Verdict
from services.runtime.bounded_http import HttpAnswer

ENQUEUE_URL = "https://events.pagerduty.com/v2/enqueue"


@dataclass(frozen=True)
class PagerDutyOptions:
    target: HttpTarget
    routing_key: SecretStr


class PagerDutyChannel:
    def __init__(self, options: PagerDutyOptions, now: Callable[[], Instant]) -> None:
        self._key, self._now = options.routing_key, now
        self._poster = Poster(options.target)

    async def send(self, delivery: Delivery) -> Verdict:
        event = {"routing_key": self._key.get_secret_value(), **json.loads(delivery.body or "{}")}
        answer = await self._poster.post(json.dumps(event).encode(), JSON)
        return of_pagerduty(answer, self._now()) if isinstance(answer, HttpAnswer) else answer

    async def close(self) -> None:
        await self._poster.close()
