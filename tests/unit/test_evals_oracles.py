"""Checks against other implementations: what these found of the same cases stands in tests/fixtures/evals."""

import json
from pathlib import Path
from typing import Any

from collector.config.patterns import check_path, nodes
from collector.model.evaluations import EvalStatus, Verdict
from tests.support.judged import check, run

FIXTURES = Path(__file__).parents[1] / "fixtures" / "evals"
# The same comparison by agentevals' words and by ours: its `superset` is of the arguments that were given.
ARGUMENTS = {"exact": "exact", "ignore": "ignore", "superset": "subset"}
# Our library lets a negation stand before a comparison without parentheses, where RFC 9535 has them.
ALSO_A_PATH = {"$[?!@.a==1]"}


def recorded(name: str) -> Any:
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


def passes(mode: str, arguments: str, expected: Any, actual: Any) -> bool:
    steps = [[{"tool": tool, "arguments": given} for tool, given in batch] for batch in expected]
    text = f"kind: tool_path, mode: {mode}, arguments: {ARGUMENTS[arguments]}, steps: {json.dumps(steps)}"
    finding = check(text, run([[(tool, given) for tool, given in batch] for batch in actual]))
    assert finding.status is EvalStatus.OK
    return finding.verdict is Verdict.PASS


def test_paths_as_agentevals(record_property: Any) -> None:
    """Every mode by its name there. `subset` turns the comparison of arguments round there, and here it does not."""
    cases = [case for case in recorded("agentevals_paths.json")["cases"] if case[:2] != ["subset", "superset"]]
    others = [case for case in cases if passes(*case[:4]) != case[4]]
    record_property("paths as agentevals", len(cases))
    print(f"{len(cases)} paths, {len(others)} judged otherwise than by agentevals")
    assert others == []
    assert len(cases) > 300
    assert {case[4] for case in cases} == {True, False}


def test_json_paths_as_another_implementation(record_property: Any) -> None:
    fixture = recorded("jsonpath.json")
    cases = [case for case in fixture["cases"] if case[0] not in ALSO_A_PATH]
    others = [(path, at) for path, at, values in cases if selected(path, fixture["documents"][at]) != values]
    record_property("paths of JSON", len(cases))
    print(f"{len(cases)} JSONPaths, {len(others)} that select something else")
    assert others == []
    assert sum(values is None for _, _, values in cases) > 20, "paths that are none"
    assert sum(bool(values) for _, _, values in cases) > 100


def selected(path: str, document: Any) -> list[Any] | None:
    try:
        check_path(path)
    except ValueError:
        return None
    return nodes(path, document)


def test_slices_of_texts_select_nothing() -> None:
    assert nodes("$.c[:4]", {"c": "yy"}) == []
    assert nodes("$.c[:4]", {"c": ["y", "y"]}) == ["y", "y"]
