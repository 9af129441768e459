"""A gate's result as JUnit XML: a test case for each case, trial and evaluator. What was skipped is never a pass."""

import re
from xml.etree import ElementTree as ET  # written, never parsed

from collector.gate.decide import Decided, doubt
from collector.gate.record import Outcome, Trial
from collector.model.evaluations import EvalStatus, Verdict

# What XML 1.0 cannot hold, in any spelling.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(decided: Decided, trace_link: str = "") -> str:
    """The report. `trace_link` is what comes before a trace id in links; without it traces are named by their ids."""
    root = ET.Element("testsuites", name="spanmeter gate")
    for evaluator in decided.new.evaluators:
        _suite(root, evaluator, decided, trace_link)
    gate = ET.SubElement(root, "testsuite", name="gate", tests=str(len(decided.checks)))
    failures = 0
    for check in decided.checks:
        case = ET.SubElement(gate, "testcase", classname="gate", name=check.name)
        if not check.passed:
            failures += 1
            ET.SubElement(case, "failure", message=_clean(check.problems[0])).text = _clean("\n".join(check.problems))
    gate.set("failures", str(failures))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, evaluator: str, decided: Decided, trace_link: str) -> None:
    suite = ET.SubElement(root, "testsuite", name=_clean(evaluator))
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for name, trials in sorted(decided.new.cases.items()):
        for number, trial in enumerate(trials, 1):
            title = name if len(trials) == 1 else f"{name} ({number})"
            kind = _case(suite, evaluator, title, trial, decided, trace_link)
            counts["tests"] += 1
            if kind:
                counts[kind] += 1
    for key, number in counts.items():
        suite.set(key, str(number))


def _case(suite: ET.Element, evaluator: str, title: str, trial: Trial, decided: Decided, trace_link: str) -> str:
    """Add a case; under which count it falls, empty for a pass."""
    seconds = trial.figures.get("duration_ms", 0.0) / 1000
    case = ET.SubElement(suite, "testcase", classname=_clean(evaluator), name=_clean(title), time=f"{seconds:.3f}")
    properties = ET.SubElement(case, "properties")
    shown = {"trace": f"{trace_link}{trial.trace_id}"}
    if evaluator in decided.loaded.judges:
        shown["calibrated"] = str(evaluator not in decided.uncalibrated).lower()
    if "cost_usd" in trial.figures:
        shown["cost_usd"] = f"{trial.figures['cost_usd']:.12f}"
    for name, value in shown.items():
        ET.SubElement(properties, "property", name=name, value=_clean(value))
    found = trial.outcomes.get(evaluator) or Outcome(EvalStatus.SKIPPED, reason="The evaluator did not look at it.")
    if found.status is EvalStatus.ERROR:
        ET.SubElement(case, "error", type=found.error_type, message=_clean(found.reason))
        return "errors"
    if found.verdict is Verdict.FAIL:
        told = found.reason + doubt(evaluator, decided.uncalibrated)
        ET.SubElement(case, "failure", message=_clean(told))
        return "failures"
    if found.verdict is Verdict.NONE:
        ET.SubElement(case, "skipped", message=_clean(found.reason or "It has a score and no verdict."))
        return "skipped"
    return ""


def _clean(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
