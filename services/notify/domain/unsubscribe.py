"""Links that let whoever has a mail say that they want no more of it: they name the person and what the mail was about,
and are signed, so that nobody needs to sign in and nobody can speak for another."""

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
    """Who, and what the mail told of: of several alerts nothing in particular."""

    tenant: Id
    person: Id
    rule: str | None
    relationship: Id | None


@dataclass(frozen=True)
class UnsubscribeLinks:
    """`board`: its address as people reach it; `key`: the one that it signs with. The same mail has the same link."""

    board: str
    key: bytes

    @classmethod
    def keyed(cls, board: str, secret: str) -> "UnsubscribeLinks":
        return cls(board.rstrip("/"), hashlib.sha256(b"rapport mails " + secret.encode()).digest())

    def of(self, delivery: Delivery) -> str | None:
        """None where nobody can leave: a mail to a list, a notice of ours, and what is urgent."""
        if delivery.person is None or delivery.alert.urgency == "P1" or is_notice(delivery):
            return None
        alone = not delivery.items and not delivery.more
        of_pair = alone and delivery.alert.subject_kind == "relationship"
        leaving = UnsubscribeScope(
            delivery.tenant,
            delivery.person,
            delivery.alert.rule if alone else None,
            delivery.relationship if of_pair else None,
        )
        return f"{self.board}/unsubscribe/{self.token(leaving)}"

    def token(self, leaving: UnsubscribeScope) -> str:
        said = json.dumps([leaving.tenant, leaving.person, leaving.rule, leaving.relationship]).encode()
        return f"{base64.urlsafe_b64encode(said).decode().rstrip('=')}.{self._sign(said)}"

    def read(self, token: str) -> UnsubscribeScope | None:
        """None where it is not signed by us."""
        encoded, _, signature = token[:LONGEST].partition(".")
        try:
            said = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except ValueError:
            return None
        if not hmac.compare_digest(signature.encode(), self._sign(said).encode()):
            return None
        tenant, person, rule, relationship = json.loads(said)
        return UnsubscribeScope(tenant, person, rule, relationship)

    def _sign(self, said: bytes) -> str:
        return hmac.new(self.key, said, hashlib.sha256).hexdigest()[:SIGNED]
