"""The chat channels: an incoming webhook of Slack, a Workflows webhook of Teams. Neither knows keys: a repeat is a
second message."""

from collections.abc import Callable

from schemas.alerts import Delivery
from schemas.primitives import Instant
from services.notify.channels.posting import JSON, HttpTarget, Poster
from services.notify.domain.verdict import Verdict
from services.runtime.bounded_http import HttpAnswer


class ChatChannel:
    """`verdict_of`: what the answers of this chat mean. The address is the secret; Teams' signs itself (`sig`), and a
    header of authorization beside it would be refused."""

    def __init__(
        self,
        target: HttpTarget,
        verdict_of: Callable[[HttpAnswer, Instant], Verdict],
        now: Callable[[], Instant],
    ) -> None:
        self._poster, self._verdict_of, self._now = Poster(target), verdict_of, now

    async def send(self, delivery: Delivery) -> Verdict:
        answer = await self._poster.post((delivery.body or "").encode(), JSON)
        return self._verdict_of(answer, self._now()) if isinstance(answer, HttpAnswer) else answer

    async def close(self) -> None:
        await self._poster.close()
