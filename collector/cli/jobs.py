"""Long work on the store: by a job of the daemon that has it, or in this process where none does."""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from tqdm import tqdm

from collector.cli.daemon import TOKEN_VARIABLE, ask, web_address
from collector.cli.store import own_store
from collector.config import Config
from collector.errors import Cancelled, Reason, Unavailable
from collector.model.progress import Progress
from collector.store import Store

_POLL_SECONDS: Final = 0.25

Interrupted = Callable[[], bool]


def add_daemon_options(command: argparse.ArgumentParser) -> None:
    """Which daemon to ask, and as whom."""
    command.add_argument("--url", help="the daemon's web address; default: the one DATA_DIR/ports.json names")
    command.add_argument("--token-env", default=TOKEN_VARIABLE, metavar="NAME", help="variable that holds the token")


@dataclass(frozen=True, slots=True)
class Remote:
    """A daemon to ask."""

    url: str
    token_variable: str

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return ask(self.url, path, body, token_variable=self.token_variable)


@contextmanager
def workplace(config: Config, options: argparse.Namespace) -> Iterator[Store | Remote]:
    """The daemon that has the store or is named; the store itself where none does. Raises StartError without either."""
    if options.url:
        yield Remote(options.url, options.token_env)
        return
    with own_store(config) as store:
        yield Remote(web_address(config), options.token_env) if store is None else store


def result_of_job(
    daemon: Remote, path: str, body: dict[str, Any], progress: Progress, interrupted: Interrupted, cancelled: str
) -> Mapping[str, Any]:
    """Have the daemon do it, and wait. Raises Cancelled once the job has ended so, Unavailable when it has failed.

    `cancelled` is the sentence for who has interrupted it.
    """
    job = daemon.ask(path, body)["job"]
    path, cancelling = f"/api/v1/jobs/{job['id']}", False
    while not job["finished_at"]:
        if interrupted() and not cancelling:
            cancelling = True
            daemon.ask(f"{path}/cancel", {})
        time.sleep(_POLL_SECONDS)
        job = daemon.ask(path)["job"]
        progress(job["done"], job["total"])
    if job["state"] == "cancelled":
        raise Cancelled(cancelled)
    if job["state"] == "failed":
        raise Unavailable(Reason.STORE, f"{daemon.url} could not do it: {job['error']['message']}")
    result: Mapping[str, Any] = job["result"]
    return result


def until_interrupted(progress: Progress, interrupted: Interrupted, cancelled: str) -> Progress:
    """Progress of work in this process, which ends with `cancelled` between two steps. Raises Cancelled."""

    def step(done: int, total: int) -> None:
        if interrupted():
            raise Cancelled(cancelled)
        progress(done, total)

    return step


@contextmanager
def progress_bar(what: str, unit: str, *, scaled: bool = False) -> Iterator[Progress]:
    """A bar on a terminal, on stderr; elsewhere nothing is written."""
    with tqdm(desc=what, unit=unit, unit_scale=scaled, disable=None, leave=False, file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total or None
            bar.update(done - bar.n)

        yield progress


@contextmanager
def interrupts() -> Iterator[Interrupted]:
    """Whether Ctrl-C was pressed. It does nothing else the first time; the second time it interrupts as ever."""
    interrupted = threading.Event()

    def on_interrupt(_number: int, _frame: object) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield interrupted.is_set
    finally:
        signal.signal(signal.SIGINT, before)
