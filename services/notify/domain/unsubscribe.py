"""Unsubscribe links in mails: they name the person and the content of the mail, and are signed, so that no sign-in is
needed and nobody can act for another."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass

from schemas.alerts import Delivery
from schemas.primitives import Id
from services.notify.domain.notices import is_notice

LONGEST = 1_000
SIGNED = 40
"""Hexadecimal digits: 160 bits."""


@dataclass(frozen=True)
class UnsubscribeScope:
    """The person, and what the mail was about; a mail of several alerts names neither rule nor pair."""

    tenant: Id
    person: Id
    rule: str | None
    relationship: Id | None


@dataclass(frozen=True)
class UnsubscribeLinks:
    """`board`: its public address; `key`: the signing key. The same mail has the same link."""

    board: str
    key: bytes

    @classmethod
    def keyed(cls, board: str, secret: str) -> "UnsubscribeLinks":
        return cls(board.rstrip("/"), hashlib.sha256(b"rapport mails " + secret.encode()).digest())

    def of(self, delivery: Delivery) -> str | None:
        """Return the link; None where nobody can unsubscribe: a mail to a list, a notice, and P1."""
        if delivery.person is None or delivery.alert.urgency == "P1" or is_notice(delivery):
            return None
        alone = not delivery.items and not delivery.more
        of_pair = alone and delivery.alert.subject_kind == "relationship"
        scope = UnsubscribeScope(
            delivery.tenant,
            delivery.person,
            delivery.alert.rule if alone else None,
            delivery.relationship if of_pair else None,
        )
        return f"{self.board}/unsubscribe/{self.token(scope)}"

    def token(self, scope: UnsubscribeScope) -> str:
        payload = json.dumps([scope.tenant, scope.person, scope.rule, scope.relationship]).encode()
        return f"{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.{self._sign(payload)}"

    def read(self, token: str) -> UnsubscribeScope | None:
        """Return the scope of a token; None where we have not signed it."""
        encoded, _, signature = token[:LONGEST].partition(".")
        try:
            payload = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except ValueError:
            return None
        if not hmac.compare_digest(signature.encode(), self._sign(payload).encode()):
            return None
        tenant, person, rule, relationship = json.loads(payload)
        return UnsubscribeScope(tenant, person, rule, relationship)

    def _sign(self, payload: bytes) -> str:
        return hmac.new(self.key, payload, hashlib.sha256).hexdigest()[:SIGNED]
