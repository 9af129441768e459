"""The documents that are rendered, each from what the code itself uses."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collector.config import render_example
from collector.docs.bi_columns import render_bi_columns
from collector.docs.cli import render_cli
from collector.docs.configuration import render_configuration
from collector.docs.dashboards import BOARDS, render_dashboard
from collector.docs.metrics import render_metrics
from collector.docs.rest import render_rest
from collector.docs.run_export import render_run_export


@dataclass(frozen=True)
class Document:
    """A file of the repository, and the function that makes its text."""

    path: str
    render: Callable[[], str]


DOCUMENTS: Final = (
    Document("config.example.yaml", render_example),
    Document("docs/bi-columns.md", render_bi_columns),
    Document("docs/cli.md", render_cli),
    Document("docs/configuration.md", render_configuration),
    Document("docs/metrics.md", render_metrics),
    Document("docs/rest.md", render_rest),
    Document("docs/run-export.schema.json", render_run_export),
    *(
        Document(f"deploy/grafana/dashboards/{board.uid}.json", functools.partial(render_dashboard, board))
        for board in BOARDS
    ),
)


def write_all(root: Path) -> None:
    """Write every document into the checkout at `root`."""
    for document in DOCUMENTS:
        (root / document.path).parent.mkdir(parents=True, exist_ok=True)
        (root / document.path).write_text(document.render(), encoding="utf-8")
