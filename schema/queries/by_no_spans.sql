-- A part: nothing is asked of a run's spans; by_spans asks.
true AS BySpans
