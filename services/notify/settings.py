"""Settings of notify, `RAPPORT_NOTIFY_*`."""

from pathlib import Path
from string import Formatter
from typing import Annotated

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from services.notify.channels.addresses import secret_fault, url_fault
from services.notify.domain.destinations import DestinationConfig, HttpTarget, WebhookOptions
from services.notify.domain.unsubscribe import UnsubscribeLinks
from services.notify.rendering.machines import fill_link
from services.runtime.settings import Port, Settings

SHORTEST_KEY = 16
FIELDS = frozenset({"tenant", "program", "relationship"})
FILLED_IN = "only {tenant}, {program} and {relationship} can be filled in"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
LOG = DestinationConfig("log", "log", None)
"""The log channel is always configured."""


class NotifySettings(Settings):
    notify_health_port: Port = 0
    notify_board_port: Annotated[int, Field(ge=1, le=65_535)] = Field(8090, description="of `rapport notify board`")
    notify_board_health_port: Port = Field(0, description="of `rapport notify board`")
    notify_board_https: bool = Field(
        default=False,
        description="true where people come over https, by a proxy in front: cookies then go over TLS only",
    )
    notify_board_key: SecretStr = Field(
        SecretStr(""), description="signs the sessions of the board; left out, they end with the process"
    )
    notify_board_open: bool = Field(
        default=False, description="true: the board asks nobody who they are; for development, on loopback only"
    )
    notify_board_url: str | None = Field(
        None, description="address of the board as people reach it; mails to persons then say how to get no more"
    )
    notify_board_gateway: str | None = Field(
        None, description="http(s) address of the gateway of ingest: the board hands in there that a pair has met"
    )
    notify_board_gateway_tokens: SecretStr = Field(
        SecretStr(""), description="TENANT=TOKEN[,TENANT=TOKEN]: tokens of ingest for the source /rapport/board"
    )
    notify_destinations: Path | None = Field(
        None, description="YAML file of where messages go; it is read again when it changes"
    )
    notify_webhook_allow_private: bool = Field(
        default=False, description="true: the receiver may live on loopback or in a private network"
    )
    notify_webhook_secret: SecretStr | None = Field(None, description="whsec_..., signs every webhook")
    notify_webhook_url: Annotated[str, Field(max_length=512)] | None = Field(
        None, description="http(s) address that alerts are posted to"
    )
    notify_webhook_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        10, description="until a receiver has answered"
    )
    notify_link: str | None = Field(
        None, description="a page of yours about a relationship; {tenant}, {program}, {relationship} are filled in"
    )

    @field_validator("notify_board_key")
    @classmethod
    def _key_is_long_enough(cls, key: SecretStr) -> SecretStr:
        if key.get_secret_value() and len(key.get_secret_value().strip()) < SHORTEST_KEY:
            raise ValueError(f"must have at least {SHORTEST_KEY} characters")
        return key

    @field_validator("notify_board_url", "notify_board_gateway")
    @classmethod
    def _is_valid_url(cls, url: str | None) -> str | None:
        if url is not None and (fault := url_fault(url, allow_private=True)):
            raise ValueError(fault)
        return url

    @field_validator("notify_board_url")
    @classmethod
    def _has_a_key(cls, url: str | None, info: ValidationInfo) -> str | None:
        key = info.data.get("notify_board_key", SecretStr("invalid"))
        if url is not None and not key.get_secret_value():
            raise ValueError("needs RAPPORT_NOTIFY_BOARD_KEY, which signs the links in mails")
        return url

    @field_validator("notify_board_gateway_tokens")
    @classmethod
    def _names_tenant_tokens(cls, tokens: SecretStr) -> SecretStr:
        if not all(tenant and secret for tenant, secret in _pairs(tokens)):
            raise ValueError("write TENANT=TOKEN, several separated by commas")
        tenants = [tenant for tenant, _ in _pairs(tokens)]
        if twice := next((tenant for tenant in tenants if tenants.count(tenant) > 1), None):
            raise ValueError(f"{twice} has two tokens")
        return tokens

    @field_validator("notify_board_open")
    @classmethod
    def _open_on_loopback_only(cls, is_open: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 (pydantic's)
        if is_open and str(info.data.get("host")) not in LOOPBACK:
            raise ValueError("a board without login is served on loopback only: set RAPPORT_HOST=127.0.0.1, or login")
        return is_open

    @field_validator("notify_webhook_secret")
    @classmethod
    def _secret_is_long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and (fault := secret_fault(secret.get_secret_value())):
            raise ValueError(fault)
        return secret

    @field_validator("notify_webhook_url")
    @classmethod
    def _webhook_url_is_allowed(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is not None:
            allow_private = bool(info.data.get("notify_webhook_allow_private"))
            if fault := url_fault(url, allow_private=allow_private):
                hint = "" if allow_private else ": set RAPPORT_NOTIFY_WEBHOOK_ALLOW_PRIVATE=true to allow it"
                raise ValueError(fault + hint if "private" in fault else fault)
            # An invalid secret has been reported already.
            if info.data.get("notify_webhook_secret", url) is None:
                raise ValueError("needs RAPPORT_NOTIFY_WEBHOOK_SECRET, which signs what is posted")
        return url

    @field_validator("notify_link")
    @classmethod
    def _link_can_be_filled(cls, link: str | None) -> str | None:
        if link is None:
            return None
        try:
            parts = list(Formatter().parse(link))
        except ValueError as unbalanced:
            raise ValueError(FILLED_IN) from unbalanced
        # A name alone: an attribute of it, or a width, is a mistake that only the reader of a mail would see.
        if any(name is not None and (name not in FIELDS or width or form) for _, name, width, form in parts):
            raise ValueError(FILLED_IN)
        if fault := url_fault(fill_link(link, "t", "p", "r"), allow_private=True):
            raise ValueError(fault)
        return link

    def unsubscribe_links(self) -> UnsubscribeLinks | None:
        """Return the signed unsubscribe links, or None where the board's address is not configured."""
        secret = self.notify_board_key.get_secret_value()
        return UnsubscribeLinks.keyed(self.notify_board_url, secret) if self.notify_board_url else None

    def gateway_tokens(self) -> dict[str, SecretStr]:
        """Return the tokens by tenant."""
        return {tenant: SecretStr(secret) for tenant, secret in _pairs(self.notify_board_gateway_tokens)}

    def destinations(self) -> list[DestinationConfig]:
        """Return the destinations from environment variables; a file may add more."""
        if self.notify_webhook_url is None or self.notify_webhook_secret is None:
            return [LOG]
        target = HttpTarget(self.notify_webhook_url, self.notify_webhook_allow_private, self.notify_webhook_seconds)
        return [LOG, DestinationConfig("webhook", "webhook", WebhookOptions(target, self.notify_webhook_secret))]


def _pairs(tokens: SecretStr) -> list[tuple[str, str]]:
    found = [part.strip().partition("=") for part in tokens.get_secret_value().split(",") if part.strip()]
    return [(tenant.strip(), secret.strip()) for tenant, _, secret in found]
