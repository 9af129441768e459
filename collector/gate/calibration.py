"""How far a gate's judges can be believed: their agreement with people, as a daemon has measured it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from collector.errors import ConfigError

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Measured:
    """Agreement of one revision of a judge with people. `low` and `high` are where its kappa is, at 0.95."""

    revision: str
    labels: int
    kappa: float | None
    low: float | None
    high: float | None

    def is_of(self, revision: str) -> bool:
        """Whether it is about that revision, whatever model has answered for the one that was asked."""
        return self.revision.partition("@")[0] == revision


def measured_of(agreement: Mapping[str, Any]) -> Measured:
    """What REST answers of an evaluator's agreement."""
    low, high = agreement["kappa_interval"] or (None, None)
    return Measured(agreement["revision"], agreement["labels"], agreement["kappa"], low, high)


def read_calibration(path: Path) -> dict[str, Measured]:
    """What is known, by evaluator; nothing where there is no file. Raises ConfigError for a file that is none."""
    try:
        return _read(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"The calibration {path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"The calibration {path} is none ({error}); make it anew with `spanmeter gate calibrate`."
        raise ConfigError(text) from None


def _read(tree: Any) -> dict[str, Measured]:
    if tree["format"] != FORMAT:
        raise ValueError(f"its format is {tree['format']}, and this version reads {FORMAT}")
    return {name: Measured(**one) for name, one in tree["judges"].items()}


def write_calibration(path: Path, judges: Mapping[str, Measured]) -> None:
    """As a file that people review. Raises ConfigError."""
    shown = {"format": FORMAT, "judges": {name: asdict(one) for name, one in judges.items()}}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(path.name + ".new")
        beside.write_text(json.dumps(shown, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"The calibration {path} cannot be written: {error.strerror}.") from None
