-- A part: nothing is asked of a run's evaluations; by_evaluations asks.
true AS ByEvaluations
