"""Sends batches to the gateway, retries while it is unavailable, and says why an import cannot continue."""

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx


@dataclass(frozen=True)
class ImportAnswer:
    """The gateway's answer to one message."""

    status: int
    reason: str
    errors: Sequence[Mapping[str, str]] = ()


class ImportStoppedError(Exception):
    """The file cannot be read any further, or the gateway refuses the whole request or stays unavailable."""


FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 15.0
# Longer than the gateway waits for the broker.
ANSWER_SECONDS = 60.0
# Rate limited, or temporarily unavailable.
RETRYABLE = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Endpoint:
    """Where messages of one kind are posted: path, media type, and the member of the answer that lists one result per
    message."""

    path: str
    media_type: str
    results_member: str


EVENTS_ENDPOINT = Endpoint("/v1/events", "application/cloudevents-batch+json", "events")
PARTICIPANTS_ENDPOINT = Endpoint("/v1/directory/participants", "application/json", "participants")


class MessageRecipient(Protocol):
    """Accepts messages and returns one answer per message. Raises ImportStoppedError."""

    def send(self, messages: Sequence[bytes], endpoint: Endpoint) -> list[ImportAnswer]: ...


def gateway_client(url: str, token: str) -> httpx.Client:
    """Over plain HTTP, skip loading the machine's trusted certificates, which takes 25 ms and is of no use there."""
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.lower().startswith("http://") else True
    headers = {"authorization": f"Bearer {token}"}
    return httpx.Client(base_url=url, headers=headers, timeout=ANSWER_SECONDS, verify=trusted)


class Sender:
    """`timeout`: how many seconds the gateway may stay unavailable. `on_wait` is called with the reason before every
    pause."""

    def __init__(self, client: httpx.Client, timeout: float, on_wait: Callable[[str], None]) -> None:
        self._client, self._timeout, self._on_wait = client, timeout, on_wait

    def send(self, messages: Sequence[bytes], endpoint: Endpoint) -> list[ImportAnswer]:
        """Return one answer per message. Raises ImportStoppedError."""
        response = self._post(b"[" + b",".join(messages) + b"]", endpoint)
        body = _json(response)
        if endpoint.results_member not in body:
            raise ImportStoppedError(
                f"the gateway answers {response.status_code}: {body.get('detail', response.text[:200])}"
            )
        return [ImportAnswer(e["status"], e["reason"], e.get("errors", ())) for e in body[endpoint.results_member]]

    def _post(self, body: bytes, endpoint: Endpoint) -> httpx.Response:
        deadline, backoff = time.monotonic() + self._timeout, FIRST_BACKOFF_SECONDS
        while True:
            retry_after = ""
            try:
                response = self._client.post(endpoint.path, content=body, headers={"content-type": endpoint.media_type})
                if response.status_code not in RETRYABLE:
                    return response
                reason = f"the gateway answers {response.status_code}: {_json(response).get('detail', '')}"
                retry_after = response.headers.get("retry-after", "")
            except httpx.TransportError as unreachable:
                reason = f"no answer from the gateway: {unreachable or type(unreachable).__name__}"
            pause = (min(float(retry_after), LONGEST_BACKOFF_SECONDS) if retry_after.isdecimal() else 0.0) or backoff
            if time.monotonic() + pause > deadline:
                raise ImportStoppedError(f"the gateway is still unavailable: {reason}")
            self._on_wait(f"{reason}; trying again in {pause:.1f} s")
            time.sleep(pause)
            backoff = min(2 * backoff, LONGEST_BACKOFF_SECONDS)


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
