"""Budgets at work: the ledger's feed, alerts, and what is refused because of them."""
