"""Having the running daemon read its configuration again."""

import fcntl
import os
import signal

from collector.config import Config
from collector.files import LOCK


def reload_daemon(config: Config) -> str:
    """Tell the daemon of this data directory to; a sentence on what happened."""
    holder = _holder(config)
    if not holder:
        return "No daemon runs here; it reads the file when it starts."
    try:
        os.kill(holder, signal.SIGHUP)
    except OSError:
        return f"Have the daemon read it: kill -HUP {holder}"
    return "The daemon reads it now."


def _holder(config: Config) -> int:
    """The process that has the data directory; 0 where none has."""
    try:
        fd = os.open(config.directory / "spool" / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        text = os.pread(fd, 32, 0).strip()
        return int(text) if text.isdigit() else 0
    else:
        return 0
    finally:
        os.close(fd)
