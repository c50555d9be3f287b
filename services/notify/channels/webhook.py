"""The webhook channel: a POST signed per Standard Webhooks, to the address that was checked, redirects not followed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import httpx
from pydantic import SecretStr
from standardwebhooks import Webhook

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.channels.addresses import PrivateAddressError, resolve
from services.notify.domain.decisions import Destination
from services.notify.domain.message import body
from services.notify.domain.verdict import Again, Never, Verdict, of_answer
from services.runtime.bounded_http import BoundedHttp, Bounds

LONGEST_ANSWER_BYTES = 64 * 1024
LANES = 8
"""A receiver that takes 0.1 s still gets 80 messages a second."""


@dataclass(frozen=True)
class WebhookOptions:
    url: str
    secret: SecretStr
    allow_private: bool
    timeout_seconds: float
    link: str | None


class WebhookChannel:
    lanes = LANES

    def __init__(self, options: WebhookOptions, now: Callable[[], Instant]) -> None:
        self._options, self._now = options, now
        self._url = httpx.URL(options.url)
        self._signer = Webhook(options.secret.get_secret_value())
        self._http = BoundedHttp()
        self._bounds = Bounds(options.timeout_seconds, LONGEST_ANSWER_BYTES)
        self.destination = Destination("webhook", options.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, delivery: Delivery) -> Verdict:
        """The status counts as soon as it is there: of the body a little is read, so that the connection serves the
        next message, and a long or slow one is cut off."""
        try:
            answer = self._http.ask(lambda: self._request(delivery), self._bounds)
        except PrivateAddressError as refused:
            return Never(str(refused))
        except TimeoutError:
            return Again(f"Timeout: no answer within {self._bounds.seconds:g} s")
        except (httpx.TransportError, OSError) as away:
            return Again(f"{type(away).__name__}: {away}")
        return of_answer(answer.status, answer.headers.get("retry-after"), self._now())

    def close(self) -> None:
        self._http.close()

    def _request(self, delivery: Delivery) -> httpx.Request:
        """To the address itself, so that a second look-up cannot lead elsewhere; the name stays in Host and TLS."""
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        address = resolve(self._url.host, port, allow_private=self._options.allow_private)
        content = body(delivery, self._options.link)
        return httpx.Request(
            "POST",
            self._url.copy_with(host=address),
            content=content,
            headers={"Host": self._url.netloc.decode(), **self._signature(delivery, content)},
            extensions={"sni_hostname": self._url.host},
        )

    def _signature(self, delivery: Delivery, content: bytes) -> dict[str, str]:
        now = self._now()
        return {
            "content-type": "application/json",
            "user-agent": "rapport-notify",
            "webhook-id": delivery.delivery_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(delivery.delivery_id, now, content.decode()),
        }
