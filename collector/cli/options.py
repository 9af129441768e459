"""The options of every command that reads the configuration."""

import argparse
from pathlib import Path

from collector.config import Config, load


def common_options() -> argparse.ArgumentParser:
    """A parent parser with them."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, metavar="FILE", help="configuration file (YAML)")
    common.add_argument("--data-dir", type=Path, metavar="DIR", help="where the spool and the store live")
    override = "override one setting, e.g. web.endpoint=127.0.0.1:0"
    common.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=override)
    return common


def config_of(options: argparse.Namespace) -> Config:
    """The configuration they name. Raises ConfigError."""
    return load(options.config, options.set, options.data_dir)
