"""How far evaluators agree with people, and which judges may be believed."""

import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
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
        judges = self.of(query, principal, {one.evaluator for one in found if one.kind is EvalKind.JUDGE})
        return frozenset(name for name, calibrated in judges.items() if not calibrated)

    def of(self, query: Query, principal: Principal, judges: Collection[str]) -> Mapping[str, bool]:
        """Whether each of these judges has 20 labels, and a kappa that is surely above 0.4. Raises Unavailable."""
        known = self._remembered(principal.project, judges)
        if unknown := sorted(set(judges) - known.keys()):
            found_now = _calibrated(query, principal, unknown)
            self._remember(principal.project, found_now)
            known |= found_now
        return known

    def _remembered(self, project: str, judges: Iterable[str]) -> dict[str, bool]:
        oldest = time.monotonic() - _KEPT_SECONDS
        with self._lock:
            entries = {name: self._known.get((project, name)) for name in judges}
        return {name: entry[1] for name, entry in entries.items() if entry and entry[0] > oldest}

    def _remember(self, project: str, found: Mapping[str, bool]) -> None:
        now = time.monotonic()
        with self._lock:
            for name, calibrated in found.items():
                self._known[project, name] = (now, calibrated)
                self._known.move_to_end((project, name))
            while len(self._known) > _MAX_KEPT:
                self._known.popitem(last=False)


def _calibrated(query: Query, principal: Principal, judges: Sequence[str]) -> dict[str, bool]:
    """One question of them all; agreement of those alone that have labels enough."""
    labels = query.label_counts(principal, judges)
    return {name: labels.get(name, 0) >= MIN_LABELS and _agrees(query, principal, name) for name in judges}


def _agrees(query: Query, principal: Principal, evaluator: str) -> bool:
    try:
        return agreement_with(query, principal, evaluator).calibrated
    except Rejected:
        return False
