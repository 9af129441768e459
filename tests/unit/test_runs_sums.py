"""The view `runs` and the query `runs.sql` sum up a run alike: the query reads the hours of each trace, no other sums."""

import re

from collector.schema import schema_root


def sums(path: str) -> str:
    """What a statement selects from the spans of a run, without its layout."""
    text = " ".join((schema_root() / path).read_text().split())
    (selected,) = re.findall(r"SELECT (span\.Project AS Project.*?) FROM otel_traces AS span FINAL", text)
    assert isinstance(selected, str)
    return re.sub(r"\s*([(),])\s*", r"\1", selected)


def test_the_view_and_the_query_of_runs_have_the_same_sums() -> None:
    assert sums("clickhouse/0003_runs.sql") == sums("queries/runs.sql")
