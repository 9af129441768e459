"""The view `runs` and what is kept of runs are the same sums: `run_columns.sql` has those of the view, then some more."""

import re

from collector.schema import schema_root

_VIEW = re.compile(r"VIEW (IF NOT EXISTS )?runs\b")


def columns(path: str) -> dict[str, str]:
    """What a statement, in a migration that of the view, selects from the spans of a run, by name, without its layout."""
    lines = (schema_root() / path).read_text().splitlines()
    text = " ".join(" ".join(line for line in lines if not line.startswith("--")).split())
    if view := _VIEW.search(text):
        text = text[view.start() :]
    selected = text[text.index("span.Project AS Project") :].partition(" FROM otel_traces AS span FINAL")[0]
    found = (one.rpartition(" AS ") for one in _top_level(selected))
    return {name: re.sub(r"\s*([(),])\s*", r"\1", made) for made, _, name in found}


def _top_level(selected: str) -> list[str]:
    """The columns between the commas that are within no parentheses."""
    depth, parts = 0, [""]
    for character in selected:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def test_the_view_and_the_kept_sums_of_runs_are_the_same() -> None:
    migrations = sorted(
        path.name for path in (schema_root() / "clickhouse").iterdir() if _VIEW.search(path.read_text())
    )
    of_view, kept = columns(f"clickhouse/{migrations[-1]}"), columns("queries/run_columns.sql")
    assert len(of_view) > 20
    assert of_view == {name: kept.get(name) for name in of_view}
