"""One POST, as all channels over HTTP send it: to the address that was checked, redirects not followed, bounded."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from services.notify.channels.addresses import PrivateAddressError, resolve
from services.notify.domain.verdict import Down, Unknown
from services.runtime.bounded_http import AsyncBoundedHttp, Bounds, HttpAnswer

LONGEST_ANSWER_BYTES = 64 * 1024
JSON = {"content-type": "application/json", "user-agent": "rapport-notify"}


@dataclass(frozen=True)
class HttpTarget:
    """Where posts go. The address may be a secret as a whole: nothing that is said of a failure holds it."""

    url: str
    allow_private: bool
    timeout_seconds: float


class Poster:
    def __init__(self, target: HttpTarget) -> None:
        self._target = target
        self._url = httpx.URL(target.url)
        self._http = AsyncBoundedHttp()
        self._bounds = Bounds(target.timeout_seconds, LONGEST_ANSWER_BYTES)

    async def post(self, content: bytes, headers: Mapping[str, str]) -> HttpAnswer | Down | Unknown:
        """The status counts as soon as it is there: of the body a little is read, so that the connection serves the
        next message, and a long or slow one is cut off."""
        try:
            return await self._http.ask(lambda: self._request(content, headers), self._bounds)
        except PrivateAddressError as refused:
            return Down(str(refused))
        except TimeoutError:
            return Unknown(f"Timeout: no answer within {self._bounds.seconds:g} s")
        except (httpx.ConnectError, httpx.UnsupportedProtocol) as away:
            return Down(type(away).__name__)
        except httpx.TransportError as broken:
            return Unknown(type(broken).__name__)
        except OSError as away:
            # The name is not known, or nobody listens there.
            return Down(f"{type(away).__name__}: {away.strerror}")

    async def close(self) -> None:
        await self._http.close()

    def _request(self, content: bytes, headers: Mapping[str, str]) -> httpx.Request:
        """To the address itself, so that a second look-up cannot lead elsewhere; the name stays in Host and TLS."""
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        address = resolve(self._url.host, port, allow_private=self._target.allow_private)
        return httpx.Request(
            "POST",
            self._url.copy_with(host=address),
            content=content,
            headers={"Host": self._url.netloc.decode(), **headers},
            extensions={"sni_hostname": self._url.host},
        )
