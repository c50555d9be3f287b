"""Which addresses may be called: public ones only, unless allowed, and the very address that was looked at; and what is
wrong with an address or a secret that somebody has configured."""

import base64
import ipaddress
import socket
from urllib.parse import urlsplit

import httpx
from standardwebhooks import Webhook

UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that is given out so far. What lies outside is reserved, local, or holds an IPv4 address: `::/96`,
`64:ff9b::/96` and `64:ff9b:1::/48` (NAT64), `fec0::/10`."""
NO_HOSTS = tuple(
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
    """The receiver's name leads into a private network: through it a webhook would reach what is not its business."""


def resolve(host: str, port: int, *, allow_private: bool) -> str:
    """One address of the host. Raises OSError when the name is not known, PrivateAddressError when any of its addresses
    is not public: which one a client takes is not ours to say."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(address[0]) for *_, address in found]
    private = [address for address in addresses if not is_public(address)]
    if private and not allow_private:
        raise PrivateAddressError(f"{host} is {private[0]}, no public address")
    return addresses[0]


def is_public(address: str) -> bool:
    """Of what the registries call global only what leads to one host of the internet: no range that hands a packet on
    to an IPv4 address which it holds (NAT64, 6to4, Teredo, ISATAP), whatever that address is."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    known = mapped or ip
    if not known.is_global or known.is_multicast:
        return False
    if isinstance(known, ipaddress.IPv4Address):
        return known not in RELAYS_OF_6TO4
    isatap = known.packed[8:12] in ISATAP
    return known in UNICAST and not isatap and not any(known in network for network in NO_HOSTS)


MIN_SECRET_BYTES = 24
"""Standard Webhooks: a secret has 24 to 64 bytes."""


def url_fault(url: str, *, allow_private: bool) -> str | None:
    """Nothing of the address is in the answer: it may be a secret."""
    try:
        parts = urlsplit(str(httpx.URL(url)))
        (parts.hostname or "").encode("idna")
    except (httpx.InvalidURL, ValueError):
        # The messages of both quote what they were given.
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
        Webhook(secret)  # the library must not refuse it when an alert is due
        prefix, found, encoded = secret.partition("whsec_")
        octets = len(base64.b64decode(encoded + "==", validate=False)) if found and not prefix else 0
        enough = octets >= MIN_SECRET_BYTES
    except (ValueError, RuntimeError):  # binascii.Error is a ValueError
        enough = False
    return None if enough else f"must be whsec_ and the base64 of at least {MIN_SECRET_BYTES} random bytes"


def _is_private(host: str) -> bool:
    """What can be told without asking for the name; the rest is looked at before every message."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return not is_public(host)
