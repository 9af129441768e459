"""What a check finds of one run or span."""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.model.evaluations import EvalStatus, Evidence, Skip, Verdict

MAX_EVIDENCE = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict where there is one, a sentence that says why, and what it rests on."""

    status: EvalStatus
    verdict: Verdict = Verdict.NONE
    score: float | None = None
    reason: str = ""
    error_type: str = ""
    evidence: tuple[Evidence, ...] = ()
    flags: tuple[str, ...] = ()
    label: str = ""


def found(passes: bool, reason: str, evidence: Sequence[Evidence] = (), score: float | None = None) -> Finding:
    """A verdict; without a score of its own, it is 1 or 0."""
    verdict = Verdict.PASS if passes else Verdict.FAIL
    return Finding(EvalStatus.OK, verdict, float(passes) if score is None else score, reason, "", tuple(evidence))


def skipped(why: Skip, reason: str) -> Finding:
    """No verdict, as there is nothing to look at."""
    return Finding(EvalStatus.SKIPPED, reason=reason, error_type=why)


def error(error_type: str, reason: str) -> Finding:
    """No verdict, as the evaluator failed."""
    return Finding(EvalStatus.ERROR, reason=reason, error_type=error_type)


def every(findings: Sequence[Finding]) -> Finding:
    """All have to pass. One that fails decides; else one without a verdict does."""
    return _first(findings, Verdict.FAIL) or _without(findings) or _together(findings, Verdict.PASS)


def some(findings: Sequence[Finding]) -> Finding:
    """One has to pass, and decides; else one without a verdict does."""
    return _first(findings, Verdict.PASS) or _without(findings) or _together(findings, Verdict.FAIL)


def opposite(finding: Finding) -> Finding:
    """It has to fail; without a verdict there is none."""
    if finding.status is not EvalStatus.OK:
        return finding
    return found(finding.verdict is Verdict.FAIL, f"Not: {finding.reason}", finding.evidence)


def _first(findings: Sequence[Finding], verdict: Verdict) -> Finding | None:
    return next((one for one in findings if one.verdict is verdict), None)


def _without(findings: Sequence[Finding]) -> Finding | None:
    return next((one for one in findings if one.status is not EvalStatus.OK), None)


def _together(findings: Sequence[Finding], verdict: Verdict) -> Finding:
    evidence = [cited for one in findings for cited in one.evidence][:MAX_EVIDENCE]
    return found(verdict is Verdict.PASS, " ".join(one.reason for one in findings), evidence)
