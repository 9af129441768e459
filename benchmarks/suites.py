"""Public test suites of what evaluators read: JSON Schema's 2020-12, RFC 9535's JSONPath.

    pip download --no-deps --no-binary :all: jsonschema==4.26.0      # its source has the JSON Schema Test Suite
    python -m benchmarks.suites --schema jsonschema-4.26.0.tar.gz --paths cts.json

`cts.json` is that of github.com/jsonpath-standard/jsonpath-compliance-test-suite. Neither is a part of this repository.
"""

import argparse
import json
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from collector.config.patterns import check_path, check_schema, nodes, violation

_DRAFT = "/tests/draft2020-12/"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schema", type=Path, help="source archive of jsonschema, or a folder of the suite")
    parser.add_argument("--paths", type=Path, help="cts.json")
    options = parser.parse_args()
    if options.schema:
        _print("JSON Schema 2020-12", _schemas(options.schema))
    if options.paths:
        _print("RFC 9535", _paths(options.paths))


def _print(name: str, found: tuple[Counter[str], Sequence[str]]) -> None:
    counts, others = found
    print(f"{name}: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))
    for line in others:
        print(f"  {line}")


def _schemas(source: Path) -> tuple[Counter[str], Sequence[str]]:
    """Cases as expected, refused with a sentence, or otherwise. What is to be fetched from elsewhere is refused."""
    counts: Counter[str] = Counter()
    others = []
    for file, group in _groups(source):
        for case in group["tests"]:
            try:
                valid = not violation(check_schema(group["schema"]), case["data"])
            except ValueError as refused:
                counts["refused"] += 1
                others.append(f"refused: {file}: {group['description']}: {str(refused)[:120]}")
                continue
            counts["as expected" if valid == case["valid"] else "otherwise"] += 1
            if valid != case["valid"]:
                others.append(f"otherwise: {file}: {group['description']}: {case['description']}")
    return counts, list(dict.fromkeys(others))


def _groups(source: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The groups of the files that every implementation has to pass."""
    if source.is_dir():
        texts = [(path.name, path.read_bytes()) for path in sorted(source.glob("*.json"))]
    else:
        with tarfile.open(source) as archive:
            members = [one for one in archive.getmembers() if _DRAFT in one.name and one.name.endswith(".json")]
            own = [one for one in members if "/" not in one.name.partition(_DRAFT)[2]]
            texts = [(one.name.rpartition("/")[2], archive.extractfile(one).read()) for one in own]  # type: ignore[union-attr]
    for name, text in texts:
        for group in json.loads(text):
            yield name, group


def _paths(source: Path) -> tuple[Counter[str], Sequence[str]]:
    counts: Counter[str] = Counter()
    others = []
    for case in json.loads(source.read_bytes())["tests"]:
        as_expected = _is_as_expected(case)
        counts["as expected" if as_expected else "otherwise"] += 1
        if not as_expected:
            others.append(f"otherwise: {case['name']}: {case['selector']}")
    return counts, others


def _is_as_expected(case: dict[str, Any]) -> bool:
    try:
        check_path(case["selector"])
    except ValueError:
        return bool(case.get("invalid_selector"))
    if case.get("invalid_selector"):
        return False
    found = nodes(case["selector"], case["document"])
    return found in case["results"] if "results" in case else bool(found == case["result"])


if __name__ == "__main__":
    main()
