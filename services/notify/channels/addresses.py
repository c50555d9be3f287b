"""Checks of addresses: only public ones may be called, unless private ones are allowed, and always the resolved address
that was checked. Also faults of configured addresses and secrets."""

import base64
import ipaddress
import socket
from urllib.parse import urlsplit

import httpx
from standardwebhooks import Webhook

UNICAST = ipaddress.IPv6Network("2000::/3")
"""All allocated unicast addresses. What lies outside is reserved, local, or holds an IPv4 address: `::/96`,
`64:ff9b::/96` and `64:ff9b:1::/48` (NAT64), `fec0::/10`."""
SPECIAL_RANGES = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # of protocols: Teredo, ORCHID, benchmarks
            "2001:db8::/32",  # for documentation
            "2002::/16",  # 6to4
            "3fff::/20",  # for documentation
        ),
    )
)
RELAYS_OF_6TO4 = ipaddress.IPv4Network("192.88.99.0/24")
ISATAP = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))
"""The beginning of an interface id whose rest is an IPv4 address (RFC 5214)."""


class PrivateAddressError(Exception):
    """The name of the receiver resolves to a private address: a webhook could otherwise reach internal services."""


def resolve(host: str, port: int, *, allow_private: bool) -> str:
    """Return one address of the host. Raises OSError when the name does not resolve, PrivateAddressError when any of
    its addresses is not public: which one a client uses is not ours to decide."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(address[0]) for *_, address in found]
    private = [address for address in addresses if not is_public(address)]
    if private and not allow_private:
        raise PrivateAddressError(f"{host} is {private[0]}, no public address")
    return addresses[0]


def is_public(address: str) -> bool:
    """Return whether the address is one host of the internet: global by the registries, and in no range that forwards
    packets to an embedded IPv4 address (NAT64, 6to4, Teredo, ISATAP), whatever that address is."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    address_ = mapped or ip
    if not address_.is_global or address_.is_multicast:
        return False
    if isinstance(address_, ipaddress.IPv4Address):
        return address_ not in RELAYS_OF_6TO4
    isatap = address_.packed[8:12] in ISATAP
    return address_ in UNICAST and not isatap and not any(address_ in network for network in SPECIAL_RANGES)


MIN_SECRET_BYTES = 24
"""Standard Webhooks: a secret has 24 to 64 bytes."""


def url_fault(url: str, *, allow_private: bool) -> str | None:
    """Return the fault of a URL, without quoting it: it may be a secret."""
    try:
        parts = urlsplit(str(httpx.URL(url)))
        (parts.hostname or "").encode("idna")
    except (httpx.InvalidURL, ValueError):
        # The messages of both exceptions quote the input.
        return "is no address"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "must be an http or https address"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user or password: whoever lists the settings reads it"
    if not allow_private and _is_private(parts.hostname):
        return "is a private address"
    return None


def secret_fault(secret: str) -> str | None:
    try:
        prefix, found, encoded = secret.partition("whsec_")
        octets = len(base64.b64decode(encoded + "==", validate=False)) if found and not prefix else 0
        enough = octets >= MIN_SECRET_BYTES
        if enough:
            Webhook(secret)  # the library must not refuse it when an alert is due
    except (ValueError, RuntimeError):  # binascii.Error is a ValueError
        enough = False
    return None if enough else f"must be whsec_ and the base64 of at least {MIN_SECRET_BYTES} random bytes"


def _is_private(host: str) -> bool:
    """Return whether the host is evidently private, without resolving the name; names are checked before every
    message."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return not is_public(host)
