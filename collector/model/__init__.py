"""The vocabulary every stage shares: what a column, an envelope, a principal is. Imports no stage, does no I/O."""
