"""What a gate says of judges that people have, or have not, agreed with."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from collector.errors import ConfigError
from collector.gate.calibration import Measured, measured_of, read_calibration, write_calibration
from collector.gate.comment import comment
from collector.gate.decide import Decided, Exit, decide
from collector.gate.junit import junit_xml
from collector.gate.policy import load_policy
from collector.gate.record import Outcome, Record, Trial
from collector.gate.result import result_json
from collector.gate.words import warnings
from collector.model.evaluations import EvalStatus, Verdict

POLICY = """
evaluators:
  - {name: kind, kind: judge, rubric: Kind., judge: {use: house}}
  - {name: short, kind: output_contains, value: x}
judges: {house: {base_url: "https://judge.example/v1", model: m}}
required: [refund]
"""
GOOD = Measured("r1", labels=40, kappa=0.8, low=0.6, high=0.9)
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/gate-result.schema.json").read_text())


def decided(directory: Path, measured: Mapping[str, Measured], more: str = "", *, passed: bool = True) -> Decided:
    path = directory / "gate.yaml"
    path.write_text(POLICY + more)
    outcome = Outcome(EvalStatus.OK, Verdict.PASS if passed else Verdict.FAIL, reason="It is rude.")
    trial = Trial("ab" * 16, "in", outcomes={"kind": outcome, "short": replace(outcome, verdict=Verdict.PASS)})
    record = Record({"kind": "r1", "short": "r2"}, {"refund": (trial,)}, approved_by="Ada")
    return decide(load_policy(path), record, record, measured)


@pytest.mark.parametrize(
    ("measured", "calibrated"),
    [
        (GOOD, True),
        (replace(GOOD, revision="r1@m-2026-01-01"), True),
        (replace(GOOD, revision="r0"), False),
        (replace(GOOD, labels=19), False),
        (replace(GOOD, low=0.4), False),
        (Measured("r1", 40, None, None, None), False),
        (None, False),
    ],
)
def test_a_judge_that_may_be_believed(tmp_path: Path, measured: Measured | None, *, calibrated: bool) -> None:
    known = {"kind": measured} if measured else {}
    free = decided(tmp_path, known)
    assert free.uncalibrated == (() if calibrated else ("kind",))
    assert free.exit is Exit.PASSED
    assert any("Uncalibrated: kind." in one for one in warnings(free)) is not calibrated
    strict = decided(tmp_path, known, "calibration: {required: true}\n")
    assert strict.exit is (Exit.PASSED if calibrated else Exit.CANNOT_TELL)


def test_how_much_is_asked_for_is_a_setting(tmp_path: Path) -> None:
    strict = "calibration: {required: true, min_kappa: 0.7, min_labels: 30}\n"
    found = decided(tmp_path, {"kind": GOOD}, strict)
    assert found.exit is Exit.CANNOT_TELL
    [check] = [one for one in found.checks if one.name == "calibrated"]
    assert "30 labels and a kappa surely above 0.7" in check.problems[0]
    assert decided(tmp_path, {"kind": replace(GOOD, low=0.71)}, strict).exit is Exit.PASSED


def test_every_form_of_the_result_says_so(tmp_path: Path) -> None:
    found = decided(tmp_path, {}, passed=False)
    document = json.loads(result_json(found))
    jsonschema.validate(document, SCHEMA)
    assert document["judges"] == [
        {"evaluator": "kind", "calibrated": False, "revision": None, "labels": 0, "kappa": None, "interval": None}
    ]
    assert "kind (uncalibrated judge): It is rude." in document["checks"][2]["problems"][0]
    text = comment(found)
    assert "pass\\_rate of kind \\(uncalibrated judge\\)" in text
    assert "pass\\_rate of short |" in text
    together = decided(tmp_path, {}, "metrics: [{metric: pass_rate}]\n")
    assert "pass\\_rate \\(uncalibrated judges included\\)" in comment(together)
    assert properties(found, "kind") == "false"
    assert properties(found, "short") is None
    believed = decided(tmp_path, {"kind": GOOD}, passed=False)
    assert properties(believed, "kind") == "true"
    assert "uncalibrated" not in comment(believed).lower()
    jsonschema.validate(json.loads(result_json(believed)), SCHEMA)


def properties(found: Decided, evaluator: str) -> str | None:
    suite = ET.fromstring(junit_xml(found)).find(f"testsuite[@name='{evaluator}']")
    assert suite is not None
    one = suite.find("testcase/properties/property[@name='calibrated']")
    return None if one is None else one.get("value")


def test_what_was_measured_is_kept(tmp_path: Path) -> None:
    path = tmp_path / ".spanmeter/calibration.json"
    assert read_calibration(path) == {}
    answer: dict[str, Any] = {"revision": "r1", "labels": 40, "kappa": 0.8, "kappa_interval": [0.6, 0.9]}
    write_calibration(path, {"kind": measured_of(answer)})
    assert read_calibration(path) == {"kind": GOOD}
    assert measured_of({**answer, "kappa": None, "kappa_interval": None}) == Measured("r1", 40, None, None, None)
    path.write_text('{"format": 1, "judges": {"kind": {"kapa": 1}}}')
    with pytest.raises(ConfigError, match="make it anew with `spanmeter gate calibrate`"):
        read_calibration(path)
