"""`spanmeter prices` and `spanmeter reprice`.

The embedded store belongs to the daemon while it runs, so these ask the daemon then; otherwise they open the store.
"""

import argparse
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from collector.billing.price_refresh import enricher, installed_catalogue
from collector.billing.reprice import Selection, apply, compare, outcome_json
from collector.cli.daemon import ask, web_address
from collector.cli.options import config_of
from collector.cli.times import moment
from collector.config import Config
from collector.enrich.prices import pricelist
from collector.enrich.prices.catalogue import Catalogue
from collector.errors import ConfigError, StartError
from collector.files import lock_directory
from collector.store import Store, migrate, open_store
from collector.store.sql import named_query

_COLUMNS = ("model", "calls", "changed", "before USD", "after USD", "difference")


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add `prices` and `reprice` to the command's parser; `common` has the options every command takes."""
    prices = commands.add_parser("prices", help="What models cost, and which have no price.")
    actions = prices.add_subparsers(required=True, metavar="COMMAND")
    listing = actions.add_parser("list", parents=[common], help="One line per model.")
    listing.add_argument("word", nargs="?", default="", help="only models whose provider/model contains this")
    listing.set_defaults(command=_list)
    show = actions.add_parser("show", parents=[common], help="Everything that decides what a model costs.")
    show.add_argument("model", metavar="MODEL", help="model, or provider/model")
    show.set_defaults(command=_show)
    check = actions.add_parser("check", parents=[common], help="Models seen without a price, and what to configure.")
    check.set_defaults(command=_check)
    again = commands.add_parser("reprice", parents=[common], help="Price stored calls again.")
    again.add_argument("--since", required=True, type=moment, help="first start of a call, e.g. 2026-11-01 (UTC)")
    again.add_argument("--until", type=moment, default=datetime.now(UTC), help="calls before this; default: now")
    again.add_argument("--model", default="", help="only calls of this model")
    again.add_argument("--as-model", default="", help="what they would have cost on this model; needs --dry-run")
    again.add_argument("--dry-run", action="store_true", help="print the difference and change nothing")
    again.set_defaults(command=_reprice)


def _catalogue(options: argparse.Namespace) -> Catalogue:
    config = config_of(options)
    return installed_catalogue(config.pricing, config.directory)


def _list(options: argparse.Namespace) -> int:
    for line in pricelist.listing(_catalogue(options), time.time_ns(), options.word):
        print(line)
    return 0


def _show(options: argparse.Namespace) -> int:
    provider, slash, model = options.model.partition("/")
    if not slash:
        provider, model = "", options.model
    print("\n".join(pricelist.show(_catalogue(options), provider, model, time.time_ns())))
    return 0


def _check(options: argparse.Namespace) -> int:
    config = config_of(options)
    with _own_store(config) as store:
        if store:
            rows = store.query(named_query("unpriced"), {"project": ""}).to_pylist()
        else:
            rows = ask(web_address(config), "/api/v1/prices/unpriced")["models"]
    print("\n".join(pricelist.unpriced((row["Provider"], row["Model"], row["Calls"]) for row in rows)))
    return 0


def _reprice(options: argparse.Namespace) -> int:
    if options.as_model and not options.dry_run:
        raise ConfigError("--as-model only compares; add --dry-run.")
    config = config_of(options)
    selection = Selection(options.since, options.until, options.model, options.as_model)
    with _own_store(config) as store:
        before = _outcome(config, store, selection, dry_run=True)
        print(_table(before["models"]))
        if options.dry_run:
            return 0
        after = _outcome(config, store, selection, dry_run=False)
    print(f"{after['written']} calls have a new version.")
    return 0


def _outcome(config: Config, store: Store | None, selection: Selection, *, dry_run: bool) -> dict[str, Any]:
    if store:
        run = compare if dry_run else apply
        return outcome_json(run(store, enricher(config.pricing, config.directory), selection))
    body = {
        "since": selection.since.isoformat(),
        "until": selection.until.isoformat(),
        "model": selection.model,
        "as_model": selection.as_model,
        "dry_run": dry_run,
    }
    answer: dict[str, Any] = ask(web_address(config), "/api/v1/reprice", body)
    return answer


@contextmanager
def _own_store(config: Config) -> Iterator[Store | None]:
    """The store, opened here; None while a daemon has the embedded one."""
    lock = None
    if config.store.embedded:
        try:
            lock = lock_directory(config.directory / "spool")
        except StartError:
            yield None
            return
    store = open_store(config.store, config.directory)
    try:
        migrate(store, int(config.store.ttl))
        yield store
    finally:
        store.close()
        if lock is not None:
            os.close(lock)


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
                change["difference"],
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    numbers = (f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
    return f"{row[0]:<{widths[0]}}  {'  '.join(numbers)}"
