"""Settings of ingest, `RAPPORT_INGEST_*`."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from schemas.primitives import Id, SourceUri
from services.ingest.domain.scope import RESERVED, Scope
from services.runtime.settings import Port, Settings

# Whoever guesses the key can find the address or the text behind a digest.
SHORTEST_KEY = 16


def _comma_separated(text: object) -> object:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if isinstance(text, str) else text


def _hard_to_guess(key: SecretStr) -> SecretStr:
    # "" means not set: code that needs the key then refuses and explains why.
    if 0 < len(key.get_secret_value()) < SHORTEST_KEY:
        raise ValueError(f"must have at least {SHORTEST_KEY} characters")
    return key


Part = Literal["projector", "raw", "tools", "attendance"]
"""Of `rapport ingest work`."""
AnyPart = Literal["http"] | Part
CommaSeparated = BeforeValidator(_comma_separated)


class IngestSettings(Settings):
    ingest_port: Annotated[int, Field(ge=1, le=65_535)] = Field(8080, description="of the gateway")
    ingest_health_port: Port = Field(0, description="of `rapport ingest serve`")
    ingest_work_health_port: Port = Field(0, description="of `rapport ingest work`")
    ingest_parts: Annotated[tuple[Part, ...], NoDecode, CommaSeparated, Field(min_length=1)] = Field(
        ("projector", "raw", "tools", "attendance"),
        description="which `rapport ingest work` runs; a large system spreads them over processes",
    )
    ingest_delivery_seconds: Annotated[float, Field(ge=1, le=120)] = Field(
        15, description="after which an event that the broker does not acknowledge is answered 503"
    )
    ingest_outstanding_bytes: Annotated[int, Field(ge=2**20)] = Field(
        64 * 2**20, description="of requests that wait for the broker; beyond it new ones are answered 503"
    )
    ingest_remembered: Annotated[int, Field(ge=0)] = Field(
        100_000, description="recent events whose repeat or conflict the gateway recognises"
    )
    ingest_token_rate: Annotated[int, Field(ge=1)] = Field(
        10_000, description="events per second and token that a gateway takes in the long run; beyond it 429"
    )
    ingest_sender_requests: Annotated[int, Field(ge=1)] = Field(
        256, description="of one token or connection that are in work at once; beyond it 429"
    )
    ingest_sender_bytes: Annotated[int, Field(ge=2**20)] = Field(
        32 * 2**20, description="of bodies of one token or connection that are in work at once; beyond it 429"
    )
    ingest_body_bytes: Annotated[int, Field(ge=2**20)] = Field(
        128 * 2**20, description="of all bodies that are in work at once; beyond it 503"
    )
    ingest_unproven_bytes: Annotated[int, Field(ge=2**16)] = Field(
        16 * 2**20, description="of all bodies whose signature is not judged yet; beyond it 503"
    )
    ingest_unproven_bytes_per_address: Annotated[int, Field(ge=2**16)] = Field(
        8 * 2**20, description="the same for one address; behind a proxy all senders have the proxy's"
    )
    ingest_open_connections: Annotated[int, Field(ge=8)] = Field(
        800, description="at once; a new one then ends the one that has waited longest for a request to be whole"
    )
    ingest_open_connections_per_address: Annotated[int, Field(ge=8)] = Field(
        400, description="the same for one address; behind a proxy all senders have the proxy's"
    )
    ingest_head_seconds: Annotated[float, Field(gt=0, le=600)] = Field(
        10, description="within which the head of a request has to come"
    )
    ingest_body_seconds: Annotated[float, Field(gt=0, le=3_600)] = Field(
        60, description="within which its body has to come, never slower than 4 KiB a second"
    )
    ingest_idle_seconds: Annotated[int, Field(ge=1, le=3_600)] = Field(
        5, description="after which a connection without a request is closed; above that of a proxy in front"
    )
    ingest_connections: Path | None = Field(
        None, description="YAML file of the connections to tools; it is read again when it changes"
    )
    ingest_reload: Annotated[tuple[str, ...], NoDecode, CommaSeparated] = Field(
        (),
        description="health ports (host:port) of the processes that `connections reload` asks, those of `work` first; "
        "default: this machine's RAPPORT_INGEST_WORK_HEALTH_PORT and RAPPORT_INGEST_HEALTH_PORT",
    )
    ingest_connection_rate: Annotated[int, Field(ge=1)] = Field(
        1_000, description="payloads per second and connection that a gateway takes in the long run; beyond it 429"
    )
    ingest_token: SecretStr | None = Field(None, description="for `rapport ingest import`")
    ingest_digest_key: Annotated[SecretStr, AfterValidator(_hard_to_guess)] = Field(
        SecretStr(""), description="digests ids that may be text; needed for connections, never to be changed"
    )
    ingest_raw_tenant: Id | None = Field(None, description="whose events mentoring.raw.cloudevents carries")
    ingest_raw_programs: Annotated[tuple[Id, ...], NoDecode, CommaSeparated] = Field(
        (), description="none means every programme of the tenant"
    )
    ingest_raw_sources: Annotated[tuple[SourceUri, ...], NoDecode, CommaSeparated] = Field(
        (), description="which may speak there", validate_default=True
    )

    @field_validator("ingest_raw_sources")
    @classmethod
    def _named_for_the_tenant(cls, sources: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("ingest_raw_tenant") and not sources:
            raise ValueError("RAPPORT_INGEST_RAW_TENANT is set: name the sources that may speak for it")
        if any(source.startswith(RESERVED) for source in sources):
            raise ValueError(f"sources that begin with {RESERVED} are Rapport's own")
        return sources

    def raw_scope(self) -> Scope | None:
        if self.ingest_raw_tenant is None:
            return None
        return Scope(self.ingest_raw_tenant, frozenset(self.ingest_raw_sources), frozenset(self.ingest_raw_programs))
