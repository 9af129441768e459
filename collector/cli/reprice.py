"""`spanmeter reprice`.

The embedded store belongs to the daemon while it runs, so this asks the daemon for a job then; otherwise it opens
the store.
"""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tqdm import tqdm

from collector.billing.price_refresh import enricher
from collector.billing.reprice import LATER, Selection, apply, compare, outcome_json
from collector.cli.daemon import TOKEN_VARIABLE, ask, web_address
from collector.cli.options import config_of
from collector.cli.store import own_store
from collector.cli.times import moment
from collector.config import Config
from collector.errors import Cancelled, ConfigError, Reason, Unavailable
from collector.model.progress import Progress
from collector.store import Store
from collector.web.times import rfc3339

_COLUMNS: Final = ("model", "calls", "changed", "before USD", "after USD", "difference")
_POLL_SECONDS: Final = 0.25
_CANCELLED: Final = "Cancelled; calls that were written until then keep their new version."

Interrupted = Callable[[], bool]


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add `reprice` to the command's parser; `common` has the options every command takes."""
    again = commands.add_parser("reprice", parents=[common], help="Price stored calls again.")
    again.add_argument("--since", required=True, type=moment, help="first start of a call, e.g. 2026-11-01 (UTC)")
    again.add_argument("--until", type=moment, help="calls before this; default: all later ones")
    again.add_argument("--model", default="", help="only calls of this model")
    again.add_argument("--as-model", default="", help="what they would have cost on this model; needs --dry-run")
    again.add_argument("--dry-run", action="store_true", help="print the difference and change nothing")
    again.add_argument("--url", help="the daemon's web address; default: the one DATA_DIR/ports.json names")
    again.add_argument("--token-env", default=TOKEN_VARIABLE, metavar="NAME", help="variable that holds the token")
    again.set_defaults(command=_reprice)


def _reprice(options: argparse.Namespace) -> int:
    if options.as_model and not options.dry_run:
        raise ConfigError("--as-model only compares; add --dry-run.")
    config = config_of(options)
    selection = Selection(
        options.since, LATER if options.until is None else options.until, options.model, options.as_model
    )
    with _workplace(config, options) as place:
        before = _outcome(config, place, selection, dry_run=True)
        print(_table(before["models"]))
        if options.dry_run:
            return 0
        after = _outcome(config, place, selection, dry_run=False)
    print(f"{after['written']} calls have a new version.")
    return 0


@dataclass(frozen=True, slots=True)
class _Remote:
    """A daemon to ask."""

    url: str
    token_variable: str

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return ask(self.url, path, body, token_variable=self.token_variable)


@contextmanager
def _workplace(config: Config, options: argparse.Namespace) -> Iterator[Store | _Remote]:
    """The daemon that has the store or is named; the store itself where none does. Raises StartError without either."""
    if options.url:
        yield _Remote(options.url, options.token_env)
        return
    with own_store(config) as store:
        yield _Remote(web_address(config), options.token_env) if store is None else store


def _outcome(config: Config, place: Store | _Remote, selection: Selection, *, dry_run: bool) -> Mapping[str, Any]:
    with _progress_bar("Comparing" if dry_run else "Pricing") as progress, _interrupts() as interrupted:
        if isinstance(place, _Remote):
            return _job(place, selection, progress, interrupted, dry_run=dry_run)
        return _here(config, place, selection, progress, interrupted, dry_run=dry_run)


def _here(
    config: Config, store: Store, selection: Selection, progress: Progress, interrupted: Interrupted, *, dry_run: bool
) -> Mapping[str, Any]:
    """Work in this process. Raises Cancelled between steps: the audit row has what was written until then."""

    def step(done: int, total: int) -> None:
        if interrupted():
            raise Cancelled(_CANCELLED)
        progress(done, total)

    prices = enricher(config.pricing, config.directory)
    if dry_run:
        return outcome_json(compare(store, prices, selection, step))
    return outcome_json(apply(store, prices, selection, progress=step))


def _job(
    daemon: _Remote, selection: Selection, progress: Progress, interrupted: Interrupted, *, dry_run: bool
) -> Mapping[str, Any]:
    """Have the daemon do it, and wait. Raises Cancelled once the job has ended so, Unavailable when it has failed."""
    body = {
        "since": rfc3339(selection.since),
        "until": None if selection.until == LATER else rfc3339(selection.until),
        "model": selection.model,
        "as_model": selection.as_model,
        "dry_run": dry_run,
    }
    job = daemon.ask("/api/v1/reprice", body)["job"]
    path, cancelling = f"/api/v1/jobs/{job['id']}", False
    while not job["finished_at"]:
        if interrupted() and not cancelling:
            cancelling = True
            daemon.ask(f"{path}/cancel", {})
        time.sleep(_POLL_SECONDS)
        job = daemon.ask(path)["job"]
        progress(job["done"], job["total"])
    return _result(daemon.url, job)


def _result(url: str, job: Mapping[str, Any]) -> Mapping[str, Any]:
    if job["state"] == "cancelled":
        raise Cancelled(_CANCELLED)
    if job["state"] == "failed":
        raise Unavailable(Reason.STORE, f"{url} could not do it: {job['error']['message']}")
    result: Mapping[str, Any] = job["result"]
    return result


@contextmanager
def _progress_bar(what: str) -> Iterator[Progress]:
    """A bar on a terminal, on stderr; elsewhere nothing is written."""
    with tqdm(desc=what, unit="call", disable=None, leave=False, file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


@contextmanager
def _interrupts() -> Iterator[Interrupted]:
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


def _table(models: Mapping[str, Mapping[str, Any]]) -> str:
    """The differences by model as text."""
    rows = [_COLUMNS]
    for model, change in sorted(models.items()):
        unpriced = f" ({change['unpriced_after']} without price)" if change["unpriced_after"] else ""
        rows.append(
            (
                (model or "(no name)") + unpriced,
                str(change["calls"]),
                str(change["changed"]),
                change["before"],
                change["after"],
                f"{Decimal(change['difference']):+f}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    numbers = (f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
    return f"{row[0]:<{widths[0]}}  {'  '.join(numbers)}"
