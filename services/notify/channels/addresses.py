"""Where a webhook may go: public addresses only, unless allowed, and to the very address that was looked at."""

import ipaddress
import socket


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
    """Neither loopback, private, link-local, multicast nor reserved; an IPv4 address in IPv6 clothes counts as such."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    known = mapped or ip
    return known.is_global and not known.is_multicast
