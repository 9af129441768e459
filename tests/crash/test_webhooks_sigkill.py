"""A process that records events and sends them, killed at random moments: every event arrives, as it was decided."""

import json
import random
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.webhooks import SECRET, Received, Reply, an_event, receiver

_KILLS = 15
# Records event after event from the number given on, and says each that is durable. With "drain" it only sends.
_PROCESS = """
import asyncio, json, random, sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from collector.model.clock import SystemClock
from collector.telemetry import Metrics, set_up_logs
from collector.webhooks.client import Client
from collector.webhooks.outbox import Outbox
from collector.webhooks.sender import Sender
from collector.webhooks.endpoint import Endpoint
from tests.support.webhooks import SECRET, an_event

path, url, first, mode = sys.argv[1:]
set_up_logs("warning", "json")  # to standard error: what is printed are numbers
endpoints = {"ops": Endpoint("ops", url, (SECRET,), allow_private=True, timeout=5.0)}

def record(outbox, sender, number):
    event = an_event(number, data={"number": number, "decided_by": random.random()})
    outbox.record([event])
    print(number, flush=True)
    sender.wake()

async def main():
    outbox = Outbox(Path(path), SystemClock())
    sender = Sender(outbox, Client(), SystemClock(), Metrics(CollectorRegistry()))
    await sender.configure(endpoints)
    if mode == "drain":
        outbox.deliveries.replay(failed=True)
    task = asyncio.create_task(sender.run())
    number = int(first)
    while mode == "record":
        await asyncio.to_thread(record, outbox, sender, number)
        number += 1
    while outbox.overview.statistics().pending:
        outbox.deliveries.replay(failed=True)  # those that were answered with an error are due now
        await asyncio.sleep(0.1)
    sender.stop()
    await task

asyncio.run(main())
"""


@contextmanager
def _process(outbox: Path, url: str, first: int, mode: str) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-c", _PROCESS, str(outbox), url, str(first), mode]
    with (
        (outbox.parent / "log").open("ab") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_what_was_recorded_arrives_whenever_the_process_is_killed(tmp_path: Path) -> None:
    chance = random.Random(7)
    failing = threading.Event()
    failing.set()

    def reply(_request: Received, _number: int) -> Reply:
        return Reply(500 if failing.is_set() and chance.random() < 0.2 else 200)

    recorded: set[int] = set()
    with receiver() as ops:
        ops.reply = reply
        outbox = tmp_path / "webhooks.db"
        for _ in range(_KILLS):
            # The last number said again: its event has the same id and other data, and must not replace the first.
            with _process(outbox, ops.url, max(recorded, default=0), "record") as process:
                assert process.stdout
                for _ in range(chance.randint(1, 40)):
                    line = process.stdout.readline()
                    assert line, (tmp_path / "log").read_text()
                    recorded.add(int(line))
                process.send_signal(signal.SIGKILL)
                recorded |= {int(line) for line in process.stdout.read().split("\n")[:-1]}
        failing.clear()
        with _process(outbox, ops.url, 0, "drain") as process:
            process.communicate(timeout=100)
            assert process.returncode == 0, (tmp_path / "log").read_text()
        got = list(ops.received)

    bodies: dict[str, set[bytes]] = defaultdict(set)
    for request in got:
        assert request.is_signed_by(SECRET)
        bodies[request.id].add(request.body)
    numbers = {json.loads(body)["data"]["number"]: key for key, found in bodies.items() for body in found}
    assert recorded <= set(numbers), "what was durable has arrived"
    assert len(set(numbers) - recorded) <= _KILLS, (
        "beyond it, only what was durable when the kill forestalled saying so"
    )
    assert all(key == an_event(number).id for number, key in numbers.items())
    assert {len(found) for found in bodies.values()} == {1}, "whatever the attempts, the bytes are the same"
    assert len(recorded) > _KILLS
