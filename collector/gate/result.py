"""A gate's result as JSON, by docs/gate-result.schema.json."""

import json
import math
from typing import Any, Final

from collector.gate.compare import Compared
from collector.gate.decide import Decided, passes
from collector.gate.record import Trial
from collector.gate.words import headline, warnings

VERSION: Final = 1


def result_of(decided: Decided) -> dict[str, Any]:
    """The document."""
    return {
        "version": VERSION,
        "exit": int(decided.exit),
        "outcome": decided.exit.name.lower(),
        "summary": headline(decided),
        "warnings": warnings(decided),
        "checks": [{"name": one.name, "passed": one.passed, "problems": list(one.problems)} for one in decided.checks],
        "metrics": [_metric(one) for one in decided.metrics],
        "newly_failing": list(decided.newly_failing),
        "judge_usd": str(decided.new.judge_usd),
        "evaluators": dict(decided.new.evaluators),
        "judges": [_judge(name, decided) for name in decided.loaded.judges],
        "cases": [_case(name, trials) for name, trials in sorted(decided.new.cases.items())],
    }


def result_json(decided: Decided) -> str:
    """The document as text."""
    return json.dumps(result_of(decided), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _judge(name: str, decided: Decided) -> dict[str, Any]:
    known = decided.measured.get(name)
    return {
        "evaluator": name,
        "calibrated": name not in decided.uncalibrated,
        "revision": known.revision if known else None,
        "labels": known.labels if known else 0,
        "kappa": known.kappa if known else None,
        "interval": [known.low, known.high] if known and known.low is not None else None,
    }


def _metric(one: Compared) -> dict[str, Any]:
    return {
        "metric": one.config.metric,
        "evaluator": one.config.evaluator,
        "gating": one.config.gating,
        "test": one.test.value,
        "cases": one.cases,
        "without": one.without,
        "old": one.old,
        "new": one.new,
        "change": one.change,
        "change_is": "ratio" if one.is_ratio else "difference",
        "interval": _ends(one.interval),
        "p": one.p,
        "adjusted_p": one.adjusted_p,
        "improved": one.improved,
        "worsened": one.worsened,
        "detectable": one.detectable,
        "totals": _ends(one.totals),
        "flip_rate": one.flip_rate,
        "conclusion": one.conclusion.value,
    }


def _ends(interval: tuple[float, float] | None) -> list[float | None] | None:
    """An end that nothing bounds is null."""
    return [end if math.isfinite(end) else None for end in interval] if interval else None


def _case(name: str, trials: Any) -> dict[str, Any]:
    return {"case": name, "passed": passes(trials), "trials": [_trial(trial) for trial in trials]}


def _trial(trial: Trial) -> dict[str, Any]:
    outcomes = {
        name: {
            "status": found.status.value,
            "verdict": found.verdict.value or None,
            "score": found.score,
            "reason": found.reason,
            "error_type": found.error_type,
            "flags": list(found.flags),
        }
        for name, found in trial.outcomes.items()
    }
    shown = {"trace_id": trial.trace_id, "input_hash": trial.input_hash, "guessed": trial.guessed}
    return shown | {"unpriced": trial.unpriced, "outcomes": outcomes, "figures": dict(trial.figures)}
