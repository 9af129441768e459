"""What the demo's daemon is configured with: budgets that are kept, nearly spent, and spent, and who hears of it."""

from pathlib import Path
from string import Template
from typing import Final

SETTINGS: Final = "demo.yaml"
_SETTINGS: Final = """\
# The demo's budgets: kept, nearly spent, spent. Their events go to a receiver that lives as long as the demo.
webhooks:
  demo: {url: "$url", secret: a secret of the demo, allow_private: true}
budgets:
  - name: all agents
    limit_usd: 100
    period: 15d
    webhooks: demo
  - name: support
    limit_usd: 0.07
    period: 15d
    match: {service: support-agent}
    warn_at: [0.5, 0.8]
    webhooks: demo
  - name: reviews
    limit_usd: 5
    period: 15d
    match: {service: code-reviewer}
    webhooks: demo
  - name: users
    limit_usd: 0.012
    period: 15d
    match: {service: support-agent}
    per: [user]
"""


def write_settings(directory: Path, webhook_url: str) -> Path:
    """The configuration file, in the demo's data directory."""
    path = directory / SETTINGS
    path.write_text(Template(_SETTINGS).substitute(url=webhook_url), encoding="utf-8")
    return path
