"""A push of Google carries the token of its channel; who sends events themselves bears the same secret."""

from datetime import datetime

from services.ingest.sources.credentials import prove_bearer
from services.ingest.sources.proof import Proof, Proven, Received, Refused, same

STATE = "x-goog-resource-state"
CHANNEL_TOKEN = "x-goog-channel-token"  # noqa: S105 (the name of the header)


def prove(received: Received, secret: str, now: datetime) -> Proof:
    if not {STATE, CHANNEL_TOKEN} & received.headers.keys():
        return prove_bearer(received, secret, now)
    if secret and same(received.headers.get(CHANNEL_TOKEN, ""), secret):
        return Proven()
    return Refused("the header X-Goog-Channel-Token must be the token with which the channel was opened")
