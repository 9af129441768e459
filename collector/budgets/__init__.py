"""Spend against limits: rules, periods, the ledger and the events of it. No I/O happens here."""
