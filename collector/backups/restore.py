"""Making a data directory from a backup."""

import os
import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from collector.backups.copies import put_beside_store, sync_tree
from collector.backups.digests import check_digests
from collector.backups.manifest import FILE, Manifest, chain_of, read_manifest
from collector.config import Config
from collector.errors import ConfigError, Rejected, StartError, Unavailable
from collector.files import LOCK, lock_directory, sync_directory, write_durably
from collector.store import embedded_path, open_store
from collector.store.backup import restore_database, stored_rows
from collector.store.migrate import migrations

# While it is there, the directory holds a part of a backup.
_MARK: Final = "restoring"
_SPOOL: Final = "spool"
_OF_FILE_SYSTEM: Final = "lost+found"


def refuse_unfinished(directory: Path) -> None:
    """Raises StartError for a data directory into which a backup was not restored to its end."""
    if (directory / _MARK).exists():
        raise StartError(
            f"A backup was being restored into {directory}, and that did not end. Restore it again, which begins anew."
        )


def restore(config: Config, backup: Path) -> tuple[Manifest, Mapping[str, int]]:
    """Make the data directory of `config` from a backup; the rows there are then, by table. Blocking.

    Raises StartError when the directory has something in it, or the backup cannot be used.
    """
    backup = backup.resolve()
    manifest = read_manifest(backup)
    _check(config, manifest, backup)
    store_path = embedded_path(config.store, config.directory)
    _check_room(store_path, manifest)
    _mark(config.directory, store_path)
    lock = lock_directory(config.directory / _SPOOL)
    try:
        _clear(config.directory, store_path)
        rows = _restore_store(config, backup)
        put_beside_store(backup, config.directory)
        sync_tree(config.directory)
        if not store_path.is_relative_to(config.directory):
            sync_tree(store_path)
    except (OSError, Rejected, Unavailable) as error:
        text = f"Cannot restore {backup} into {config.directory}: {str(error).rstrip('.')}. {_left(store_path)}."
        raise StartError(f"{text} The directory cannot be used; restore again, which begins anew.") from error
    finally:
        os.close(lock)
    (config.directory / _MARK).unlink()
    sync_directory(config.directory)
    return manifest, rows


def _check(config: Config, manifest: Manifest, backup: Path) -> None:
    if not config.store.embedded:
        raise ConfigError("store.url is a server: a backup of the embedded store is restored into an embedded one.")
    if manifest.database != config.store.database:
        raise ConfigError(f"The backup is of the database {manifest.database}: set store.database to it.")
    known = migrations()[-1].version
    if manifest.schema > known:
        raise StartError(
            f"{backup} was made by spanmeter {manifest.version}, whose database is newer (migration "
            f"{manifest.schema:04}; this one knows {known:04}). Restore it with that version or a later one."
        )
    for path, one in chain_of(backup).items():
        check_digests(path, one.sums, FILE)


def _check_room(store_path: Path, manifest: Manifest) -> None:
    if shutil.disk_usage(_existing(store_path)).free < manifest.bytes:
        raise StartError(f"The store of this backup has {manifest.bytes / 2**20:,.1f} MiB. {_left(store_path)}.")


def _left(path: Path) -> str:
    """On a full disk the engine complains of files that it could not write and then reads."""
    there = _existing(path)
    return f"{there} has {shutil.disk_usage(there).free / 2**20:,.1f} MiB free"


def _existing(path: Path) -> Path:
    return next(one for one in (path, *path.parents) if one.exists())


def _mark(directory: Path, store_path: Path) -> None:
    """Mark an empty directory, or one that an interrupted restore has left."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (directory / _MARK).exists():
            return
        for path in (directory, store_path):
            if path.is_dir() and any(found.name != _OF_FILE_SYSTEM for found in path.iterdir()):
                raise StartError(
                    f"{path} has something in it. Restore into a new data directory: name one with --data-dir, or "
                    "move this one away."
                )
        write_durably(directory / _MARK, b"")
    except OSError as error:
        raise StartError(f"Cannot restore into {directory}: {error}.") from error


def _clear(directory: Path, store_path: Path) -> None:
    """Remove what an interrupted restore has left, but for the mark and the lock that is held."""
    for path in (*directory.iterdir(), *(directory / _SPOOL).iterdir(), store_path):
        if path.name not in {_MARK, _SPOOL, LOCK, _OF_FILE_SYSTEM}:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _restore_store(config: Config, backup: Path) -> Mapping[str, int]:
    reading = config.store.model_copy(update={"backup_dir": backup.parent})
    with closing(open_store(reading, config.directory)) as store:
        restore_database(store, backup.name)
        return stored_rows(store)
