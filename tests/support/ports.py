"""Ports of this machine, for servers that tests start."""

import os
import random
import socket

# Test processes that run beside each other (pytest-xdist) take their ports from different sets.
_THIS_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def free_ports(count: int) -> list[int]:
    """Ports outside the ephemeral range: nothing else takes them while their server is down."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(15_000 + _THIS_PROCESS, 30_000, _PROCESSES)
        if port not in found and _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something listens on `port`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
