"""Settings of notify, `RAPPORT_NOTIFY_*`."""

import base64
import binascii
import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

import httpx
from pydantic import Field, SecretStr, ValidationInfo, field_validator

from services.notify.channels.addresses import is_public
from services.notify.channels.webhook import WebhookOptions
from services.notify.domain.message import filled
from services.runtime.settings import Port, Settings

LEAST_SECRET_BYTES = 24
"""Standard Webhooks: a secret has 24 to 64 bytes."""


class NotifySettings(Settings):
    notify_health_port: Port = 0
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

    @field_validator("notify_webhook_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and _secret_bytes(secret.get_secret_value()) < LEAST_SECRET_BYTES:
            raise ValueError(f"must be whsec_ and the base64 of at least {LEAST_SECRET_BYTES} random bytes")
        return secret

    @field_validator("notify_webhook_url")
    @classmethod
    def _may_be_called(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is not None:
            _check_url(url)
            if _is_private(url) and not info.data.get("notify_webhook_allow_private"):
                raise ValueError("is a private address: set RAPPORT_NOTIFY_WEBHOOK_ALLOW_PRIVATE=true to allow it")
            # A secret that is invalid has been complained about already.
            if info.data.get("notify_webhook_secret", url) is None:
                raise ValueError("needs RAPPORT_NOTIFY_WEBHOOK_SECRET, which signs what is posted")
        return url

    @field_validator("notify_link")
    @classmethod
    def _can_be_filled(cls, link: str | None) -> str | None:
        try:
            filled(link or "", "t", "p", "r")
        except (KeyError, ValueError, IndexError) as unknown:
            raise ValueError("only {tenant}, {program} and {relationship} can be filled in") from unknown
        return link

    def webhook(self) -> WebhookOptions | None:
        if self.notify_webhook_url is None or self.notify_webhook_secret is None:
            return None
        return WebhookOptions(
            url=self.notify_webhook_url,
            secret=self.notify_webhook_secret,
            allow_private=self.notify_webhook_allow_private,
            timeout_seconds=self.notify_webhook_seconds,
            link=self.notify_link,
        )


def _secret_bytes(secret: str) -> int:
    prefix, found, encoded = secret.partition("whsec_")
    try:
        return len(base64.b64decode(encoded + "==", validate=False)) if found and not prefix else 0
    except binascii.Error:
        return 0


def _check_url(url: str) -> None:
    parts = urlsplit(str(_parsed(url)))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http or https address")
    parts.hostname.encode("idna")  # raises a ValueError for what no resolver takes
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user or password: it is written beside every delivery")


def _parsed(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL as invalid:
        raise ValueError(str(invalid)) from invalid


def _is_private(url: str) -> bool:
    """What can be told without asking for the name; the rest is looked at before every message."""
    host = urlsplit(url).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return not is_public(host)
