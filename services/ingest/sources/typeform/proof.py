"""How Typeform signs: `Typeform-Signature: sha256=<base64 of the HMAC-SHA256 of the body>`.
https://www.typeform.com/developers/webhooks/secure-your-webhooks/"""

import hmac
from base64 import b64encode
from datetime import datetime
from hashlib import sha256

from services.ingest.sources.proof import BodyNeeded, Proof, Proven, Received, Refused, same

PREFIX = "sha256="


def prove(received: Received, secret: str, _now: datetime) -> Proof:
    """Typeform signs no time: a request that is played back is a repeat, and those are harmless."""
    given = received.headers.get("typeform-signature")
    if not given:
        return Refused("the header Typeform-Signature is missing: set a secret for the webhook")
    if received.is_head:
        return BodyNeeded()
    digest = b64encode(hmac.digest(secret.encode(), received.body, sha256)).decode()
    if secret and same(given.strip(), PREFIX + digest):
        return Proven()
    return Refused("the header Typeform-Signature is not that of this body and this connection's secret")
