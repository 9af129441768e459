"""Daemons forked from a process that has imported everything once: imports are most of what a start costs.

A nursery belongs to one test process and ends with it, and then so do its daemons. `python -m tests.support.nursery`
reads requests as JSON, a line each: what to start, or the process that is asked about. It answers a line each: a
process id, an exit code, or `running`.
"""

import atexit
import functools
import json
import mmap
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

import collector.cli
from collector.app import Daemon
from collector.cli import serve  # noqa: F401 - so that it is imported before the fork
from collector.config import load
from collector.runtime import configure_interpreter
from collector.telemetry import set_up_logs
from tests.support.waiting import wait_until


class ScriptClock:
    """A running clock that a script moves ahead, for all processes that open its file: as if so much time had passed."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._ahead = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")

    @classmethod
    def starting(cls, path: Path, now_ns: int) -> "ScriptClock":
        """A new clock's file, and the clock at a Unix time."""
        path.write_bytes(bytes(8))
        clock = cls(path)
        clock.move_to(now_ns)
        return clock

    def move_to(self, now_ns: int) -> None:
        self._ahead[0] = now_ns - time.monotonic_ns()

    def time_ns(self) -> int:
        return time.monotonic_ns() + self._ahead[0]

    def monotonic(self) -> float:
        return self.time_ns() / 1e9


class Nursery:
    """The test's end."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.support.nursery"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._lock = threading.Lock()

    def start(self, arguments: Sequence[str], log: Path, clock: Path | None = None) -> "Forked":
        """Run `spanmeter serve` with these arguments, in this environment and directory; its output goes to `log`.

        With `clock`, a file of `ScriptClock`, the daemon goes by that one.
        """
        what = {
            "arguments": list(arguments),
            "log": str(log),
            "clock": clock and str(clock),
            "directory": str(Path.cwd()),
            "environment": dict(os.environ),
        }
        return Forked(self, int(self.ask(what)))

    def ask(self, request: dict[str, Any]) -> str:
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline().strip()
        assert answer, "the nursery ended"
        return answer

    def close(self) -> None:
        """End the nursery and what it has started."""
        self._process.communicate(timeout=30)


@functools.cache
def nursery() -> Nursery:
    """That of this test process."""
    own = Nursery()
    atexit.register(own.close)
    return own


class Forked:
    """A process of the nursery, as `tests.support.daemon.Process`."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self._nursery = nursery
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None and (answer := self._nursery.ask({"pid": self.pid})) != "running":
            self._code = int(answer)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        wait_until(lambda: self.poll() is not None, timeout or 60, "the end of the daemon")
        assert self._code is not None
        return self._code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:  # nobody else has the process id until the nursery has collected it
            os.kill(self.pid, sig)


def main() -> int:
    """Be the nursery; in a forked process, be the daemon."""
    started = _nurse()
    return _run(started) if started else 0


def _nurse() -> dict[str, Any] | None:
    """Answer requests until there are no more; in a forked process, what it shall run."""
    children: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        if "arguments" in request:
            child = os.fork()
            if not child:
                return dict(request)
            children.add(child)
            print(child, flush=True)
        else:
            code = _exit_code(request["pid"])
            children -= {request["pid"]} if code is not None else set()
            print("running" if code is None else code, flush=True)
    for child in children:
        os.kill(child, 9)
    return None


def _exit_code(child: int) -> int | None:
    ended, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _run(what: dict[str, Any]) -> int:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(what["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.chdir(what["directory"])
    os.environ.clear()
    os.environ.update(what["environment"])
    if what["clock"]:
        return _serve_by(ScriptClock(Path(what["clock"])), what["arguments"])
    return collector.cli.main(["serve", *what["arguments"]])


def _serve_by(clock: ScriptClock, arguments: Sequence[str]) -> int:
    """`spanmeter serve`, by another clock than the system's."""
    options = collector.cli.entry.command_parser("serve").parse_args(["serve", *arguments])
    config = load(options.config, options.set, options.data_dir)
    configure_interpreter()
    set_up_logs(config.telemetry.log_level, config.telemetry.log_format)

    async def run() -> None:
        await Daemon(config, lambda: config, clock).run()

    uvloop.run(run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
