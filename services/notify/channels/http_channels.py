"""The HTTP channels: webhooks, signed per Standard Webhooks, Slack and Teams, and PagerDuty. Each sends one bounded
POST to the checked address, without following redirects."""

import json
from collections.abc import Callable, Mapping

import httpx
from standardwebhooks import Webhook

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.channels.addresses import PrivateAddressError, resolve
from services.notify.channels.verdicts import http_verdict, pagerduty_verdict
from services.notify.domain.deliveries import DestinationDown, OutcomeUnknown, Verdict
from services.notify.domain.destinations import HttpTarget, PagerDutyOptions, WebhookOptions
from services.runtime.bounded_http import AsyncBoundedHttp, BodyBrokenError, Bounds, HttpAnswer

LONGEST_ANSWER_BYTES = 64 * 1024
JSON = {"content-type": "application/json", "user-agent": "rapport-notify"}


class Poster:
    def __init__(self, target: HttpTarget) -> None:
        self._target = target
        self._url = httpx.URL(target.url)
        self._http = AsyncBoundedHttp()
        self._bounds = Bounds(target.timeout_seconds, LONGEST_ANSWER_BYTES)

    async def post(self, content: bytes, headers: Mapping[str, str]) -> HttpAnswer | DestinationDown | OutcomeUnknown:
        """Post the content. The status counts as soon as it arrives: of the body a little is read, so that the
        connection is reusable; a long or slow body is cut off."""
        try:
            return await self._http.ask(lambda: self._request(content, headers), self._bounds)
        except BodyBrokenError as broken:
            return broken.answer
        except PrivateAddressError as refused:
            return DestinationDown(str(refused))
        except TimeoutError:
            return OutcomeUnknown(f"Timeout: no answer within {self._bounds.seconds:g} s")
        except (httpx.ConnectError, httpx.UnsupportedProtocol) as away:
            return DestinationDown(type(away).__name__)
        except httpx.TransportError as broken:
            return OutcomeUnknown(type(broken).__name__)
        except OSError as away:
            # The name does not resolve, or nothing listens there.
            return DestinationDown(f"{type(away).__name__}: {away.strerror}")

    async def close(self) -> None:
        await self._http.close()

    def _request(self, content: bytes, headers: Mapping[str, str]) -> httpx.Request:
        """Build the request to the resolved address, so that a second lookup cannot lead elsewhere; the name stays in
        Host and TLS."""
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        address = resolve(self._url.host, port, allow_private=self._target.allow_private)
        return httpx.Request(
            "POST",
            self._url.copy_with(host=address),
            content=content,
            headers={"Host": self._url.netloc.decode(), **headers},
            extensions={"sni_hostname": self._url.host},
        )


class WebhookChannel(Poster):
    def __init__(self, options: WebhookOptions, now: Callable[[], Instant]) -> None:
        super().__init__(options.target)
        self._now, self._signer = now, Webhook(options.secret.get_secret_value())

    async def send(self, delivery: Delivery) -> Verdict:
        content, now = (delivery.body or "").encode(), self._now()
        signature = {
            "webhook-id": delivery.delivery_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(delivery.delivery_id, now, content.decode()),
        }
        answer = await self.post(content, JSON | signature)
        if not isinstance(answer, HttpAnswer):
            return answer
        return http_verdict(answer.status, answer.headers.get("retry-after"), self._now())


class ChatChannel(Poster):
    """`verdict_of`: the verdict function of this chat. The address is the secret; Teams signs its URL (`sig`) and
    refuses an Authorization header."""

    def __init__(
        self,
        target: HttpTarget,
        verdict_of: Callable[[HttpAnswer, Instant], Verdict],
        now: Callable[[], Instant],
    ) -> None:
        super().__init__(target)
        self._verdict_of, self._now = verdict_of, now

    async def send(self, delivery: Delivery) -> Verdict:
        answer = await self.post((delivery.body or "").encode(), JSON)
        return self._verdict_of(answer, self._now()) if isinstance(answer, HttpAnswer) else answer


ENQUEUE_URL = "https://events.pagerduty.com/v2/enqueue"


class PagerDutyChannel(Poster):
    def __init__(self, options: PagerDutyOptions, now: Callable[[], Instant]) -> None:
        super().__init__(options.target)
        self._key, self._now = options.routing_key, now

    async def send(self, delivery: Delivery) -> Verdict:
        event = {"routing_key": self._key.get_secret_value(), **json.loads(delivery.body or "{}")}
        answer = await self.post(json.dumps(event).encode(), JSON)
        return pagerduty_verdict(answer, self._now()) if isinstance(answer, HttpAnswer) else answer
