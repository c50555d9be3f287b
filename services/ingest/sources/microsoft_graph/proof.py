"""Graph first asks whether it speaks with us, then every notification carries the clientState of its subscription.
Who sends events and reports themselves bears the same secret."""

from collections.abc import Iterable
from datetime import datetime

from services.ingest.domain.strict_json import Parsed, read_json
from services.ingest.sources.credentials import prove_bearer
from services.ingest.sources.microsoft_graph.notifications import in_notifications
from services.ingest.sources.proof import BodyNeeded, Handshake, Proof, Proven, Received, Refused, same

# As Graph makes it, it is shorter by far; nobody shall have us say a novel.
LONGEST_TOKEN = 4096
# A notification has some 700 bytes; here alone a body is parsed before it is proven.
MOST_UNPROVEN_BYTES = 64 * 2**10


def prove(received: Received, secret: str, now: datetime) -> Proof:
    if token := received.query.get("validationToken"):
        if len(token) > LONGEST_TOKEN:
            return Refused("the validationToken is too long for one of Graph's")
        return Handshake(token.encode(errors="replace"), "text/plain")
    if "authorization" in received.headers:
        return prove_bearer(received, secret, now)
    if received.is_head:
        return BodyNeeded(MOST_UNPROVEN_BYTES)
    parsed = read_json(received.body)
    told = in_notifications(parsed.value) if isinstance(parsed, Parsed) else ()
    if secret and told and _all_same(told, secret):
        return Proven()
    return Refused("every notification must carry the clientState with which this connection's subscriptions were made")


def _all_same(notifications: Iterable[object], secret: str) -> bool:
    states = [one.get("clientState") if isinstance(one, dict) else None for one in notifications]
    # Every one is compared, lest the time of the answer tell which one was wrong.
    return all([isinstance(state, str) and same(state, secret) for state in states])  # noqa: C419
