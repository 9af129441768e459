"""Backups of a data directory with the embedded store: taken while the daemon runs, and restored."""

from collector.backups.manifest import Manifest, chain_of, finished
from collector.backups.restore import refuse_unfinished, restore
from collector.backups.take import Backups, refuse_server

__all__ = ["Backups", "Manifest", "chain_of", "finished", "refuse_server", "refuse_unfinished", "restore"]
