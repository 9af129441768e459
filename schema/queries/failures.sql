-- A part: in place of no_failures, with runs_with_failures.
toInt64(run.Failed)
