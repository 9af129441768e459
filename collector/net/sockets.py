"""Listening sockets, also such that several processes share."""

import socket

from collector.config import split_endpoint
from collector.errors import StartError

_BACKLOG = 2048


def listen(endpoint: str, what: str, *, shared: bool = False) -> socket.socket:
    """A listening socket on `endpoint`, `shared` with other processes. Raises StartError when it cannot be had."""
    sock = bound(endpoint, what, shared=shared)
    try:
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise StartError(f"Cannot listen for {what} on {endpoint}: {error.strerror}.") from None
    sock.setblocking(False)
    return sock


def bound(endpoint: str, what: str, *, shared: bool) -> socket.socket:
    """A socket that holds `endpoint` and takes no connections yet. Raises StartError when the address cannot be had.

    Processes that share an address all bind it `shared`, and the kernel spreads connections over those that listen.
    """
    host, port = split_endpoint(endpoint)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartError(f"Cannot listen for {what} on {endpoint}: {error.strerror}.") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise StartError(f"Cannot listen for {what} on {endpoint}: {error.strerror}.") from None
    return sock
