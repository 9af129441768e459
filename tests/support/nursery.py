"""Daemons under a script's time, forked from a process that has imported everything once.

So fifty starts cost what fifty daemons cost and not what fifty imports do. `python -m tests.support.nursery CLOCK`
reads, a line each, `start` with what to start as JSON, or `poll`; it answers with a process id, an exit code, or
`running`.
"""

import json
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import uvloop

from collector.app import Daemon as Served
from collector.config import Config, load
from collector.model.clock import Clock
from collector.runtime import configure_interpreter
from collector.telemetry import set_up_logs
from tests.support.daemon import Daemon
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
    """The test's end: `launch` is for a `Daemon`, of which one may run at a time."""

    def __init__(self, clock_file: Path) -> None:
        command = [sys.executable, "-m", "tests.support.nursery", str(clock_file)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def launch(self, daemon: Daemon) -> "Forked":
        what = {
            "config": str(daemon.config),
            "settings": daemon.settings,
            "directory": str(daemon.directory),
            "log": str(daemon.log_file),
        }
        return Forked(self, int(self.ask(f"start {json.dumps(what)}")))

    def ask(self, line: str) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer, "the nursery ended"
        return answer

    def close(self) -> None:
        """End the nursery and what it has started."""
        self._process.communicate(timeout=30)


class Forked:
    """A process of the nursery, as `tests.support.daemon.Process`."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self._nursery = nursery
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None and (answer := self._nursery.ask("poll")) != "running":
            self._code = int(answer)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        wait_until(lambda: self.poll() is not None, timeout or 60, "the end of the daemon")
        assert self._code is not None
        return self._code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:  # nobody else has the process id until the nursery has collected it
            os.kill(self.pid, sig)


def main() -> None:
    """Be the nursery."""
    configure_interpreter()
    clock = ScriptClock(Path(sys.argv[1]))
    child = 0
    try:
        for line in sys.stdin:
            command, _, rest = line.partition(" ")
            if command == "start":
                child = _forked(json.loads(rest), clock)
                print(child, flush=True)
            else:
                code = _exit_code(child)
                child = child if code is None else 0
                print("running" if code is None else code, flush=True)
    finally:
        if child:
            os.kill(child, 9)


def _forked(what: dict[str, str], clock: Clock) -> int:
    config = load(Path(what["config"]), what["settings"], Path(what["directory"]))
    child = os.fork()
    if not child:
        _serve(config, clock, what["log"])
    return child


def _exit_code(child: int) -> int | None:
    ended, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _serve(config: Config, clock: Clock, log: str) -> NoReturn:
    code = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        set_up_logs(config.telemetry.log_level, config.telemetry.log_format)

        async def run() -> None:
            await Served(config, lambda: config, clock).run()

        uvloop.run(run())
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
