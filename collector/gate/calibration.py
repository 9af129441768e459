"""How far a gate's judges can be believed: their agreement with people, as a daemon has measured it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from collector.gate.reviewed import read_reviewed, write_reviewed

FORMAT: Final = 1
_CALIBRATION: Final = "calibration"


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
    return read_reviewed(path, _CALIBRATION, _parsed, "calibrate") or {}


def _parsed(text: str) -> dict[str, Measured]:
    tree = json.loads(text)
    if tree["format"] != FORMAT:
        raise ValueError(f"its format is {tree['format']}, and this version reads {FORMAT}")
    return {name: Measured(**one) for name, one in tree["judges"].items()}


def write_calibration(path: Path, judges: Mapping[str, Measured]) -> None:
    """Write it whole or not at all. Raises ConfigError."""
    shown = {"format": FORMAT, "judges": {name: asdict(one) for name, one in judges.items()}}
    write_reviewed(path, _CALIBRATION, json.dumps(shown, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
