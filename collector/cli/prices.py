"""`spanmeter prices`.

The embedded store belongs to the daemon while it runs, so `check` asks the daemon then; otherwise it opens the store.
"""

import argparse
import time

from collector.billing.price_refresh import installed_catalogue
from collector.cli.daemon import ask, web_address
from collector.cli.options import config_of
from collector.cli.store import own_store
from collector.enrich.prices import pricelist
from collector.enrich.prices.catalogue import Catalogue
from collector.store.sql import named_query


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add `prices` to the command's parser; `common` has the options every command takes."""
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
    with own_store(config) as store:
        if store:
            rows = store.query(named_query("unpriced"), {"project": ""}).to_pylist()
            models = [(row["Provider"], row["Model"], row["Calls"]) for row in rows]
        else:
            answer = ask(web_address(config), "/api/v1/prices/unpriced")
            models = [(model["provider"], model["model"], model["calls"]) for model in answer["models"]]
    print("\n".join(pricelist.unpriced(models)))
    return 0
