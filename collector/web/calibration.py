"""Which judges people's labels do not vouch for: that is said wherever their numbers stand."""

import threading
import time
from collections.abc import Iterable
from typing import Final

from collector.errors import Rejected
from collector.evals.labels import MIN_LABELS, Agreement, agreement_of
from collector.model.evaluations import EvalKind, Evaluation
from collector.model.principal import Principal
from collector.query.evaluations import EvaluationsWanted
from collector.query.service import Query

_REMEMBERED_SECONDS: Final = 60.0
_MAX_REMEMBERED: Final = 10_000
MAX_LABELS: Final = 20_000
_MAX_VERDICTS: Final = 200_000


def agreement_of_labels(query: Query, principal: Principal, evaluator: str) -> Agreement:
    """How far an evaluator agrees with labels. Raises Rejected(NOT_FOUND), Unavailable."""
    labelled = EvaluationsWanted(evaluator=evaluator, kind=EvalKind.HUMAN, current=False, limit=MAX_LABELS)
    labels = query.evaluations(principal, labelled)
    runs = sorted({label.trace_id for label in labels})
    wanted = EvaluationsWanted(trace_ids=runs, evaluator=evaluator, current=False, limit=_MAX_VERDICTS)
    judged = query.evaluations(principal, wanted) if runs else ()
    verdicts = query.evaluation_verdicts(principal, evaluator)
    return agreement_of(evaluator, [one for one in judged if one.kind is not EvalKind.HUMAN], labels, verdicts)


class Calibrations:
    """Remembers for a minute. For any thread; every method blocks, and raises Unavailable."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[float, bool]] = {}

    def uncalibrated(self, query: Query, principal: Principal, evaluators: Iterable[str]) -> frozenset[str]:
        """Those of the judges by these names with too few labels, or with too little agreement with them."""
        return frozenset(name for name in set(evaluators) if not self._calibrated(query, principal, name))

    def uncalibrated_in(self, query: Query, principal: Principal, found: Iterable[Evaluation]) -> frozenset[str]:
        """Of the judges that found these."""
        return self.uncalibrated(query, principal, (one.evaluator for one in found if one.kind is EvalKind.JUDGE))

    def _calibrated(self, query: Query, principal: Principal, evaluator: str) -> bool:
        key, now = (principal.project, evaluator), time.monotonic()
        asked, known = self._known.get(key, (0.0, False))
        if key in self._known and now - asked < _REMEMBERED_SECONDS:
            return known
        known = _calibrated(query, principal, evaluator)
        with self._lock:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[key] = now, known
        return known


def _calibrated(query: Query, principal: Principal, evaluator: str) -> bool:
    labels = EvaluationsWanted(evaluator=evaluator, kind=EvalKind.HUMAN, current=False, limit=MIN_LABELS)
    if len(query.evaluations(principal, labels)) < MIN_LABELS:
        return False
    try:
        return agreement_of_labels(query, principal, evaluator).calibrated
    except Rejected:  # it has no verdicts on what people labelled
        return False
