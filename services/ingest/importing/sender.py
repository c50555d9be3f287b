"""Sends batches to the gateway, waits while it is away, and says why an import cannot go on."""

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx


@dataclass(frozen=True)
class ImportAnswer:
    """What became of one message."""

    status: int
    reason: str
    errors: Sequence[Mapping[str, str]] = ()


class ImportStoppedError(Exception):
    """The file cannot be read on, or the gateway refuses the request as a whole or stays away."""


FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 15.0
# Longer than the gateway waits for the broker.
ANSWER_SECONDS = 60.0
# Too fast, or away.
LATER = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Endpoint:
    """Where messages of one sort go, as what, and under which name the answer speaks of each."""

    path: str
    media_type: str
    answered: str


EVENTS_ENDPOINT = Endpoint("/v1/events", "application/cloudevents-batch+json", "events")
PARTICIPANTS_ENDPOINT = Endpoint("/v1/directory/participants", "application/json", "participants")


class MessageRecipient(Protocol):
    """Takes messages and says what became of each. Raises ImportStoppedError."""

    def send(self, messages: Sequence[bytes], endpoint: Endpoint) -> list[ImportAnswer]: ...


def gateway_client(url: str, token: str) -> httpx.Client:
    """To read the certificates that this machine trusts takes 25 ms, and nobody asks for one over plain HTTP: there
    TLS would fail."""
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.lower().startswith("http://") else True
    headers = {"authorization": f"Bearer {token}"}
    return httpx.Client(base_url=url, headers=headers, timeout=ANSWER_SECONDS, verify=trusted)


class Sender:
    """`patience` is how many seconds the gateway may stay away; `waiting` is told of every pause."""

    def __init__(self, client: httpx.Client, patience: float, waiting: Callable[[str], None]) -> None:
        self._client, self._patience, self._waiting = client, patience, waiting

    def send(self, messages: Sequence[bytes], endpoint: Endpoint) -> list[ImportAnswer]:
        """One answer per message. Raises ImportStoppedError."""
        response = self._answered(b"[" + b",".join(messages) + b"]", endpoint)
        body = _json(response)
        if endpoint.answered not in body:
            raise ImportStoppedError(
                f"the gateway answers {response.status_code}: {body.get('detail', response.text[:200])}"
            )
        return [ImportAnswer(e["status"], e["reason"], e.get("errors", ())) for e in body[endpoint.answered]]

    def _answered(self, body: bytes, endpoint: Endpoint) -> httpx.Response:
        until, wait = time.monotonic() + self._patience, FIRST_WAIT_SECONDS
        while True:
            asked_for = ""
            try:
                response = self._client.post(endpoint.path, content=body, headers={"content-type": endpoint.media_type})
                if response.status_code not in LATER:
                    return response
                words = f"the gateway answers {response.status_code}: {_json(response).get('detail', '')}"
                asked_for = response.headers.get("retry-after", "")
            except httpx.TransportError as away:
                words = f"no answer from the gateway: {away or type(away).__name__}"
            pause = (min(float(asked_for), LONGEST_WAIT_SECONDS) if asked_for.isdecimal() else 0.0) or wait
            if time.monotonic() + pause > until:
                raise ImportStoppedError(f"the gateway stays away: {words}")
            self._waiting(f"{words}; trying again in {pause:.1f} s")
            time.sleep(pause)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
