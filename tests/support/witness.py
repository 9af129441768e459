"""An honest client beside an attack, in a process of its own: how long it waited for its answers at most.

    python -m tests.support.witness PORT TRACE_ID

sends one span of the trace after the other over OTLP/HTTP until its standard input ends.
"""

import contextlib
import http.client
import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.daemon import Daemon
from tests.support.otlp import request, span, trace_id

_PAUSE = 0.1
_HEADERS = {"Content-Type": "application/x-protobuf"}


@dataclass
class Witness:
    """What it saw, once the block has ended. `longest` is in seconds, from the first attempt to the acknowledgement."""

    trace: str
    acknowledged: int = 0
    failures: int = 0  # attempts that got no 200; the span was sent again
    longest: float = 0.0

    def assert_stored(self, daemon: Daemon) -> None:
        """Every span that was acknowledged is in the store, once."""
        daemon.trace(self.trace, self.acknowledged)


@contextlib.contextmanager
def witnessed(daemon: Daemon) -> Iterator[Witness]:
    """Send beside the block. Of a daemon that takes spans without a token."""
    witness = Witness(trace_id().hex())
    command = [sys.executable, "-m", "tests.support.witness", str(daemon.ports["http"]), witness.trace]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline(), "the witness found no daemon"
        yield witness
        seen, _ = process.communicate(timeout=90)
    witness.acknowledged, witness.failures, witness.longest = json.loads(seen)


def warm_up(daemon: Daemon) -> None:
    """One span is stored: what the engine needs for its first insert is nothing that an attack has cost."""
    with witnessed(daemon) as witness:
        pass
    witness.assert_stored(daemon)


def _send(port: int, trace: bytes) -> None:
    acknowledged, failures, longest = 0, 0, 0.0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not acknowledged or not select.select([sys.stdin], [], [], _PAUSE)[0]:
        body = request(span(trace_id=trace)).SerializeToString()
        begun = time.monotonic()
        while not _answered(connection, body):
            failures += 1
            connection.close()
            assert time.monotonic() < begun + 60, "the daemon does not answer"
        longest = max(longest, time.monotonic() - begun)
        if not acknowledged:
            print("ready", flush=True)
        acknowledged += 1
    print(json.dumps([acknowledged, failures, longest]))


def _answered(connection: http.client.HTTPConnection, body: bytes) -> bool:
    try:
        connection.request("POST", "/v1/traces", body, _HEADERS)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return False
    return response.status == 200


if __name__ == "__main__":
    _send(int(sys.argv[1]), bytes.fromhex(sys.argv[2]))
