"""What the demo's daemon is configured with: budgets that are kept, nearly spent, and spent."""

from pathlib import Path
from typing import Final

SETTINGS: Final = "demo.yaml"
_BUDGETS: Final = """\
# The demo's budgets: kept, nearly spent, spent.
budgets:
  - name: all agents
    limit_usd: 100
    period: 15d
  - name: support
    limit_usd: 0.07
    period: 15d
    match: {service: support-agent}
    warn_at: [0.5, 0.8]
  - name: reviews
    limit_usd: 5
    period: 15d
    match: {service: code-reviewer}
  - name: users
    limit_usd: 0.012
    period: 15d
    match: {service: support-agent}
    per: [user]
"""


def write_settings(directory: Path) -> Path:
    """The configuration file, in the demo's data directory."""
    path = directory / SETTINGS
    path.write_text(_BUDGETS, encoding="utf-8")
    return path
