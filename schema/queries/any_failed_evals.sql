-- A part: nobody asks whether evaluators found a run failed; failed_evals asks.
false
