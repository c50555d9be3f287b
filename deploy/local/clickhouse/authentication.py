"""Who sends a request: basic authentication, ClickHouse's key headers, or URL parameters."""

import base64
import binascii
from collections.abc import Mapping

from aiohttp import web

from deploy.local.clickhouse.errors import ClickHouseError
from deploy.local.clickhouse.users import User


def authenticated(request: web.Request, users: Mapping[str, User]) -> User:
    """Raises `ClickHouseError` AUTHENTICATION_FAILED without telling whether the name exists."""
    name, password = _credentials(request)
    user = users.get(name)
    if user is None or not user.accepts(password):
        text = f"{name}: Authentication failed: password is incorrect, or there is no user with such name"
        raise ClickHouseError.of(516, "AUTHENTICATION_FAILED", text)
    return user


def _credentials(request: web.Request) -> tuple[str, str]:
    headers = request.headers
    if "X-ClickHouse-User" in headers:
        return headers["X-ClickHouse-User"] or "default", headers.get("X-ClickHouse-Key", "")
    scheme, _, encoded = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        name, _, password = _decoded(encoded).partition(":")
        return name or "default", password
    return request.query.get("user") or "default", request.query.get("password", "")


def _decoded(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ClickHouseError.of(516, "AUTHENTICATION_FAILED", "Invalid HTTP header `Authorization`") from None
