"""`spanmeter reprice`.

The embedded store belongs to the daemon while it runs, so this asks the daemon for a job then; otherwise it opens
the store.
"""

import argparse
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from collector.billing.price_refresh import enricher
from collector.billing.reprice import LATER, Selection, apply, compare, outcome_json
from collector.cli.jobs import (
    Interrupted,
    Remote,
    add_daemon_options,
    interrupts,
    progress_bar,
    result_of_job,
    until_interrupted,
    workplace,
)
from collector.cli.options import config_of
from collector.cli.times import moment
from collector.config import Config
from collector.errors import ConfigError
from collector.model.progress import Progress
from collector.store import Store
from collector.web.times import rfc3339

_COLUMNS: Final = ("model", "calls", "changed", "before USD", "after USD", "difference")
_CANCELLED: Final = "Cancelled; calls that were written until then keep their new version."


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add `reprice` to the command's parser; `common` has the options every command takes."""
    again = commands.add_parser("reprice", parents=[common], help="Price stored calls again.")
    again.add_argument("--since", required=True, type=moment, help="first start of a call, e.g. 2026-11-01 (UTC)")
    again.add_argument("--until", type=moment, help="calls before this; default: all later ones")
    again.add_argument("--model", default="", help="only calls of this model")
    again.add_argument("--as-model", default="", help="what they would have cost on this model; needs --dry-run")
    again.add_argument("--dry-run", action="store_true", help="print the difference and change nothing")
    add_daemon_options(again)
    again.set_defaults(command=_reprice)


def _reprice(options: argparse.Namespace) -> int:
    if options.as_model and not options.dry_run:
        raise ConfigError("--as-model only compares; add --dry-run.")
    config = config_of(options)
    selection = Selection(
        options.since, LATER if options.until is None else options.until, options.model, options.as_model
    )
    with workplace(config, options) as place:
        before = _outcome(config, place, selection, dry_run=True)
        print(_table(before["models"]))
        if options.dry_run:
            return 0
        after = _outcome(config, place, selection, dry_run=False)
    print(f"{after['written']} calls have a new version.")
    return 0


def _outcome(config: Config, place: Store | Remote, selection: Selection, *, dry_run: bool) -> Mapping[str, Any]:
    with progress_bar("Comparing" if dry_run else "Pricing", "call") as progress, interrupts() as interrupted:
        if isinstance(place, Remote):
            body = _body(selection, dry_run=dry_run)
            return result_of_job(place, "/api/v1/reprice", body, progress, interrupted, _CANCELLED)
        return _here(config, place, selection, progress, interrupted, dry_run=dry_run)


def _here(
    config: Config, store: Store, selection: Selection, progress: Progress, interrupted: Interrupted, *, dry_run: bool
) -> Mapping[str, Any]:
    """Work in this process. Raises Cancelled between steps: the audit row has what was written until then."""
    step = until_interrupted(progress, interrupted, _CANCELLED)
    prices = enricher(config.pricing, config.directory)
    if dry_run:
        return outcome_json(compare(store, prices, selection, step))
    return outcome_json(apply(store, prices, selection, progress=step))


def _body(selection: Selection, *, dry_run: bool) -> dict[str, Any]:
    return {
        "since": rfc3339(selection.since),
        "until": None if selection.until == LATER else rfc3339(selection.until),
        "model": selection.model,
        "as_model": selection.as_model,
        "dry_run": dry_run,
    }


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
