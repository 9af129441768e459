"""Evaluations of stored runs: checks, who is selected, and the verdicts as rows."""
