"""The options of every command that reads the configuration."""

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.errors import ConfigError

if TYPE_CHECKING:
    from collector.config import Config


def common_options() -> argparse.ArgumentParser:
    """A parent parser with them."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, metavar="FILE", help="configuration file (YAML)")
    common.add_argument("--data-dir", type=Path, metavar="DIR", help="where the spool and the store live")
    override = "override one setting, e.g. web.endpoint=127.0.0.1:0"
    common.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=override)
    return common


def config_of(options: argparse.Namespace) -> "Config":
    """The configuration they name. Raises ConfigError."""
    settings: Any = importlib.import_module("collector.config")  # takes long, and not every command needs it
    config: Config = settings.load(options.config, options.set, options.data_dir)
    _refuse_shadowed(config)
    return config


def _refuse_shadowed(config: "Config") -> None:
    """Raises ConfigError for names of budgets that the web port could not show."""
    if not config.budgets:
        return
    from collector.web.shadowing import shadowed  # noqa: PLC0415 - knows every operation, which takes a second

    names = [budget.name for budget in config.budgets]
    mistakes = [
        f"  budgets.{names.index(name)}.name: {name!r} is taken: {path} answers in its place. Choose another."
        for name, path in shadowed(names)
    ]
    if mistakes:
        raise ConfigError("\n".join(["The settings cannot be used:", *mistakes]))
