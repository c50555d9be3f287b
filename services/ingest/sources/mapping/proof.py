"""How an in-house tool proves itself, as its settings say."""

import hmac
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.ingest.sources.tool import ToolSettings
from services.ingest.sources.verification import (
    BodyNeeded,
    Received,
    Refused,
    Verification,
    Verified,
    prove_bearer,
    same,
    verify_basic,
)


class Signature(BaseModel):
    """An HMAC of the body in a header, after a prefix such as `sha256=`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,100}$")]
    prefix: Annotated[str, Field(max_length=20)] = ""
    algorithm: Literal["sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"

    def verify(self, received: Received, secret: str, _now: datetime) -> Verification:
        given = received.headers.get(self.header.lower(), "").strip()
        if not given:
            return Refused(f"the header {self.header} is missing")
        if received.is_head:
            return BodyNeeded()
        digest = hmac.digest(secret.encode(), received.body, self.algorithm)
        # Hexadecimal digits come in either case, base64 does not.
        found, wanted = (
            (given, b64encode(digest).decode()) if self.encoding == "base64" else (given.lower(), digest.hex())
        )
        prefix = self.prefix if self.encoding == "base64" else self.prefix.lower()
        if secret and same(found, prefix + wanted):
            return Verified()
        return Refused(f"the header {self.header} is not that of this body and this connection's secret")


class ProvenSettings(ToolSettings):
    proof: Literal["bearer", "basic"] | Signature = "bearer"


def verify_by(settings: ToolSettings) -> Callable[[Received, str, datetime], Verification]:
    assert isinstance(settings, ProvenSettings)
    if isinstance(settings.proof, Signature):
        return settings.proof.verify
    return verify_basic if settings.proof == "basic" else prove_bearer
