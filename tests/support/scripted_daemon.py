"""The real daemon under a script's time, in a process of its own that can be killed and started again at once.

A nursery process imports everything once and forks a daemon whenever it is told to, so that fifty starts cost what
fifty daemons cost and not what fifty imports do. `python -m tests.support.scripted_daemon CLOCK CONFIG DATA_DIR LOG`
reads `start` or the number of a signal, a line each, and answers with a process id or an exit code.
"""

import http.client
import json
import mmap
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import uvloop

from collector.app import Daemon
from collector.config import load
from collector.model.clock import Clock
from collector.runtime import configure_interpreter
from collector.telemetry import set_up_logs
from tests.support.daemon import free_ports


class ScriptClock:
    """A running clock that a script moves ahead; all processes that open its file see the same time."""

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
        return time.monotonic()


class ScriptedDaemon:
    """The test's end: one data directory, one set of ports, any number of daemons one after the other."""

    def __init__(self, directory: Path, clock_file: Path, settings: dict[str, Any]) -> None:
        grpc, self.http, self.web = free_ports(3)
        protocols = {"grpc": {"endpoint": f"127.0.0.1:{grpc}"}, "http": {"endpoint": f"127.0.0.1:{self.http}"}}
        self.directory = directory
        self.log = directory.with_suffix(".log")
        config = directory.with_suffix(".yaml")
        endpoints = {"receivers": {"otlp": {"protocols": protocols}}, "web": {"endpoint": f"127.0.0.1:{self.web}"}}
        config.write_text(json.dumps(endpoints | settings))  # which is YAML
        arguments = [str(path) for path in (clock_file, config, directory, self.log)]
        command = [sys.executable, "-m", "tests.support.scripted_daemon", *arguments]
        self._nursery = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self) -> None:
        self._tell("start")

    def end(self, signal_number: int) -> int:
        """Send a signal and wait for the end; the exit code, negative for the signal that was its cause."""
        return self._tell(str(signal_number))

    def close(self) -> None:
        """End the nursery and what it has started."""
        self._nursery.communicate(timeout=30)

    def _tell(self, line: str) -> int:
        nursery = self._nursery
        assert nursery.stdin, nursery.stdout
        nursery.stdin.write(line + "\n")
        nursery.stdin.flush()
        answer = nursery.stdout.readline() if nursery.stdout else ""
        assert answer, f"the nursery ended:\n{self.log_tail()}"
        return int(answer)

    def get(self, path: str) -> bytes | None:
        """What the web port answers; None when there is no answer, or one that it is not ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web}{path}", timeout=10) as response:
                body: bytes = response.read()
                return body
        except (OSError, http.client.HTTPException):
            return None

    def is_ready(self) -> bool:
        return self.get("/readyz") is not None

    def metric(self, name: str) -> float | None:
        """The sum of a metric's samples, None while there is no answer."""
        text = self.get("/metrics")
        if text is None:
            return None
        lines = text.decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


def main() -> None:
    """Be the nursery."""
    clock_file, config_file, directory, log = map(Path, sys.argv[1:])
    config = load(config_file, [], directory)
    configure_interpreter()
    clock: Clock = ScriptClock(clock_file)
    child = 0
    try:
        for line in sys.stdin:
            if line == "start\n":
                child = os.fork()
                if not child:
                    _serve(Daemon, config, clock, log)
                print(child, flush=True)
            else:
                os.kill(child, int(line))
                _, status = os.waitpid(child, 0)
                child = 0
                print(os.waitstatus_to_exitcode(status), flush=True)
    finally:
        if child:
            os.kill(child, 9)


def _serve(daemon: type[Daemon], config: Any, clock: Clock, log: Path) -> None:
    """Be a daemon; never returns."""
    code = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        set_up_logs(config.telemetry.log_level, config.telemetry.log_format)

        async def run() -> None:
            await daemon(config, lambda: config, clock).run()

        uvloop.run(run())
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
