"""How far evaluators agree with people, and which judges may be believed."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from collector.errors import Rejected
from collector.evals.labels import MIN_LABELS, Agreement, agreement_of
from collector.model.evaluations import EvalKind, Evaluation
from collector.model.principal import Principal
from collector.query.evaluations import EvaluationsWanted
from collector.query.service import Query

_KEPT_SECONDS: Final = 60.0
_MAX_KEPT: Final = 1000
_MAX_LABELS: Final = 20_000
_MAX_VERDICTS: Final = 200_000


def agreement_with(query: Query, principal: Principal, evaluator: str) -> Agreement:
    """How far an evaluator agrees with labels. Raises Rejected(NOT_FOUND) without verdicts on what is labelled."""
    labelled = EvaluationsWanted(evaluator=evaluator, kind=EvalKind.HUMAN, current=False, limit=_MAX_LABELS)
    labels = query.evaluations(principal, labelled)
    runs = sorted({label.trace_id for label in labels})
    wanted = EvaluationsWanted(trace_ids=runs, evaluator=evaluator, current=False, limit=_MAX_VERDICTS)
    judged = query.evaluations(principal, wanted) if runs else ()
    verdicts = query.evaluation_verdicts(principal, evaluator)
    return agreement_of(evaluator, [one for one in judged if one.kind is not EvalKind.HUMAN], labels, verdicts)


class Calibration:
    """Remembers for a minute what it has found: agreement takes the labels of all runs."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], tuple[float, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def uncalibrated(self, query: Query, principal: Principal, found: Iterable[Evaluation]) -> frozenset[str]:
        """Of the judges among `found` those without 20 labels, or without a kappa that is surely above 0.4."""
        judges = {one.evaluator for one in found if one.kind is EvalKind.JUDGE}
        return frozenset(name for name in judges if not self._is_calibrated(query, principal, name))

    def _is_calibrated(self, query: Query, principal: Principal, evaluator: str) -> bool:
        key, now = (principal.project, evaluator), time.monotonic()
        with self._lock:
            known = self._known.get(key)
        if known and now - known[0] < _KEPT_SECONDS:
            return known[1]
        answer = _calibrated(query, principal, evaluator)
        with self._lock:
            self._known[key] = (now, answer)
            self._known.move_to_end(key)
            while len(self._known) > _MAX_KEPT:
                self._known.popitem(last=False)
        return answer


def _calibrated(query: Query, principal: Principal, evaluator: str) -> bool:
    few = EvaluationsWanted(evaluator=evaluator, kind=EvalKind.HUMAN, current=False, limit=MIN_LABELS)
    if len(query.evaluations(principal, few)) < MIN_LABELS:
        return False
    try:
        return agreement_with(query, principal, evaluator).calibrated
    except Rejected:
        return False
