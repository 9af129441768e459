"""What the demo's daemon is configured with: budgets that are kept, nearly spent, and spent, who hears of it, and
evaluators."""

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
# What a good run of these agents is: docs/evals.md.
evaluators:
  - {name: looks-up-the-weather, select: {agent: travel-planner}, settle: 1s, kind: tool_path, steps: [get_weather]}
  - {name: looks-up-the-order, select: {agent: support}, settle: 1s, kind: tool_path, steps: [lookup_order]}
  - {name: cheap, settle: 1s, kind: bound, metric: cost_usd, max: 0.15}
  - {name: not-cut-short, settle: 1s, kind: finish}
  - {name: no-loops, settle: 1s, kind: redundancy, no_loops: true, max_repeats: 1}
  - {name: tools-answer, on: span, select: {where: [{kind: tool}]}, settle: 1s, kind: bound, metric: errors, max: 0}
"""


def write_settings(directory: Path, webhook_url: str) -> Path:
    """The configuration file, in the demo's data directory."""
    path = directory / SETTINGS
    path.write_text(Template(_SETTINGS).substitute(url=webhook_url), encoding="utf-8")
    return path
