"""The gate: whether a change made the agent worse or dearer, with the numbers that say so, or that they cannot tell."""
