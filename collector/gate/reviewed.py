"""Files of a gate that are committed, and reviewed as part of a change."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from collector.errors import ConfigError
from collector.files import write_durably

_T = TypeVar("_T")


def read_reviewed(path: Path, what: str, parse: Callable[[str], _T], command: str) -> _T | None:
    """The file as `parse` reads it; None where there is none.

    Raises ConfigError, which calls it `what` and names the `spanmeter gate` command that writes it, for a file that
    cannot be read or parsed.
    """
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"The {what} {path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"The {what} {path} is none ({error}); make it anew with `spanmeter gate {command}`."
        raise ConfigError(text) from None


def write_reviewed(path: Path, what: str, text: str) -> None:
    """Write it whole or not at all. Raises ConfigError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, text.encode())
    except OSError as error:
        raise ConfigError(f"The {what} {path} cannot be written: {error.strerror}.") from None
