"""Several scopes in one sum, where there is no room for each."""

from collections.abc import Mapping

import numpy as np

from collector.budgets.ledger.account import Cells
from collector.budgets.span_facts import Amount
from collector.model.budgets import Scope

_MAX_PICO = 2**63 - 1


def dearest(sums: Mapping[Scope, Amount], before: Cells, max_cells: int, others: Scope) -> Cells:
    """Those `max_cells` sums that were apart before, or else are highest; what is left as one sum."""
    max_cells = max(0, max_cells)
    picos = np.fromiter((min(amount.pico, _MAX_PICO) for amount in sums.values()), np.int64, len(sums))
    apart = np.fromiter((scope in before and scope != others for scope in sums), np.bool_, len(sums))
    chosen = np.zeros(len(sums), np.bool_)
    chosen[np.lexsort((-picos, ~apart))[:max_cells]] = True
    cells: Cells = {}
    for keep, (scope, amount) in zip(chosen.tolist(), sums.items(), strict=True):
        counted_as = scope if keep else others
        cells[counted_as] = cells[counted_as].plus(amount) if counted_as in cells else amount
    return cells


def folded_like(exact: Mapping[Scope, Amount], cells: Cells, others: Scope) -> Mapping[Scope, Amount]:
    """What the store has, with those scopes in one sum that share one in `cells`."""
    if not others or others not in cells:
        return exact
    folded: Cells = {}
    for scope, amount in exact.items():
        counted_as = scope if scope in cells else others
        folded[counted_as] = folded[counted_as].plus(amount) if counted_as in folded else amount
    return folded
