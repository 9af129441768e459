"""The view `runs` and what is kept of runs are the same sums: `run_columns.sql` has those of the view, then some more."""

import re

from collector.schema import schema_root

_VIEW = re.compile(r"VIEW (IF NOT EXISTS )?runs\b")


def columns(path: str) -> str:
    """What a statement selects from the spans of a run, without its layout."""
    lines = (schema_root() / path).read_text().splitlines()
    text = " ".join(" ".join(line for line in lines if not line.startswith("--")).split())
    selected = text[text.index("span.Project AS Project") :].partition(" FROM otel_traces AS span FINAL")[0]
    return re.sub(r"\s*([(),])\s*", r"\1", selected)


def test_the_view_and_the_kept_sums_of_runs_are_the_same() -> None:
    migrations = sorted(
        path.name for path in (schema_root() / "clickhouse").iterdir() if _VIEW.search(path.read_text())
    )
    of_view = columns(f"clickhouse/{migrations[-1]}")
    assert columns("queries/run_columns.sql").startswith(f"{of_view},")
