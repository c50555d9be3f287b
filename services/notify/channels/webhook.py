"""The webhook channel: a POST signed per Standard Webhooks. Its receiver knows a repeat by the `webhook-id`."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr
from standardwebhooks import Webhook

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.channels.posting import JSON, HttpTarget, Poster
from services.notify.domain.verdict import Verdict, of_answer
from services.runtime.bounded_http import HttpAnswer


@dataclass(frozen=True)
class WebhookOptions:
    target: HttpTarget
    secret: SecretStr


class WebhookChannel:
    def __init__(self, options: WebhookOptions, now: Callable[[], Instant]) -> None:
        self._now = now
        self._signer = Webhook(options.secret.get_secret_value())
        self._poster = Poster(options.target)

    async def send(self, delivery: Delivery) -> Verdict:
        content = (delivery.body or "").encode()
        answer = await self._poster.post(content, JSON | self._signature(delivery, content))
        if not isinstance(answer, HttpAnswer):
            return answer
        return of_answer(answer.status, answer.headers.get("retry-after"), self._now())

    async def close(self) -> None:
        await self._poster.close()

    def _signature(self, delivery: Delivery, content: bytes) -> dict[str, str]:
        now = self._now()
        return {
            "webhook-id": delivery.delivery_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(delivery.delivery_id, now, content.decode()),
        }
