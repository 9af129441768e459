"""Statistics of paired cases, rates, agreement and power: pure, on numpy and the standard library."""
