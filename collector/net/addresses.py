"""Which addresses requests of ours may reach, and connections to exactly the address that was checked.

A name is looked up once a connection; all of its addresses are checked, and one of them is connected to by number. So
a name that answers differently the second time (DNS rebinding) gains nothing. TLS still checks the name.
"""

import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import httpcore2

from collector.errors import SpanmeterError

Address = IPv4Address | IPv6Address
# (host, port) -> addresses as text; raises OSError.
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

# https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry
_METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, OpenStack and most others
        "169.254.170.2",  # AWS: credentials of ECS tasks
        "169.254.170.23",  # AWS: credentials of EKS pods
        "168.63.129.16",  # Azure's wire server, a public address
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS: credentials of EKS pods
        "fd20:ce::254",  # Google
    )
)
_PRIVATE = {
    "a loopback address": ("127.0.0.0/8", "::1/128"),
    "a private address": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
    "a shared address (RFC 6598)": ("100.64.0.0/10",),
    "a link-local address": ("169.254.0.0/16", "fe80::/10"),
    "an address of a benchmark network": ("198.18.0.0/15",),
    "an address of a local NAT64": ("64:ff9b:1::/48",),
}
_NEVER = {
    "an unspecified address": ("0.0.0.0/8", "::/128"),
    "a multicast address": ("224.0.0.0/4", "ff00::/8"),
    "a tunnel's address": ("192.88.99.0/24", "2002::/16", "2001::/32"),
    "a reserved address": (
        *("192.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"),
        *("2001::/23", "2001:db8::/32", "3fff::/20"),
    ),
}
_GLOBAL_IPV6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def _networks(table: dict[str, tuple[str, ...]]) -> list[tuple[IPv4Network | IPv6Network, str]]:
    return [(ip_network(text), what) for what, texts in table.items() for text in texts]


_PRIVATE_NETWORKS, _NEVER_NETWORKS = _networks(_PRIVATE), _networks(_NEVER)


class TargetRefused(SpanmeterError):  # noqa: N818 - a decision, not a malfunction
    """The endpoint's host has an address that may not be reached."""


def refusal(address: Address, *, allow_private: bool) -> str | None:
    """What is wrong with sending to `address`, as a noun; None when nothing is.

    With `allow_private`, the networks of a house are right: loopback, private, shared, link-local. Metadata services,
    multicast and what no host can have are never.
    """
    if isinstance(address, IPv6Address):
        address = _embedded(address)
    if address in _METADATA:
        return "the address of a cloud's metadata service"
    for network, what in _PRIVATE_NETWORKS:
        if address in network:
            return None if allow_private else what
    for network, what in _NEVER_NETWORKS:
        if address in network:
            return what
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6:
        return "a reserved address"
    return None


def _embedded(address: IPv6Address) -> Address:
    """The IPv4 address that packets to `address` end at, where it stands for one."""
    if address.ipv4_mapped:
        return address.ipv4_mapped
    bare = IPv6Address(int(address))  # an address with a zone is in no network
    return IPv4Address(int(bare) & 0xFFFFFFFF) if bare in _NAT64 else bare


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """httpcore's way to the network, which connects to checked addresses only."""

    def __init__(self, resolve: Resolver, *, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Raises TargetRefused, and httpcore's ConnectError with a sentence when no address answers."""
        failure: Exception = httpcore2.ConnectError("the name has no address")
        for address in await self._checked(host, port):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _checked(self, host: str, port: int) -> list[str]:
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"the name cannot be looked up ({error})") from None
        addresses = list(dict.fromkeys(found))
        for text in addresses:
            if wrong := refusal(ip_address(text), allow_private=self._allow_private):
                advice = "" if refusal(ip_address(text), allow_private=True) else " Set allow_private if it is yours."
                raise TargetRefused(f"Refused to send: {host} is at {text}, {wrong}.{advice}")
        return addresses


def look_up(host: str, port: int) -> list[str]:
    """The system's addresses of `host`; blocks. Raises OSError."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
