"""Spend against limits: rules, periods, the ledger and what to tell of it. No I/O happens here."""
