"""Spend by budget, slot and scope: plain sums, kept equal to what the store would answer.

A slot is what spend is counted in: a calendar period, or a step of a rolling window. Written by one thread at a time,
read by any: an amount is replaced, never changed, so a reader sees it whole. No lock is held for longer than some
hundred sums take: checks read while a batch is counted.
"""

from collector.budgets.ledger.account import OTHER, Cells
from collector.budgets.ledger.changes import Changes, LeaseSpend, Portion, Posted
from collector.budgets.ledger.ledger import Ledger
from collector.budgets.ledger.reader import LedgerReader

__all__ = ["OTHER", "Cells", "Changes", "LeaseSpend", "Ledger", "LedgerReader", "Portion", "Posted"]
