"""What goes wrong, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class BudgetError(Exception):
    """The daemon could not be asked, or did not understand the request."""


class BudgetExceeded(Exception):  # noqa: N818 - a verdict, not a malfunction
    """The run is refused. `decision` is the daemon's answer; `retry_after` is in seconds."""

    def __init__(self, decision: Mapping[str, Any]) -> None:
        super().__init__(decision.get("message") or "The budget refuses this run.")
        self.decision = decision
        self.retry_after: int | None = decision.get("retry_after_seconds")
