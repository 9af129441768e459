-- A part: of a project the runs that began in the hours [`floor`, `ceiling`), as their sums were kept.
SELECT * EXCEPT (Hour, Version, Gone)
FROM run_sums FINAL
WHERE Project = {project:String}
  AND Hour >= toStartOfHour({floor:DateTime})
  AND Hour < toStartOfHour({ceiling:DateTime})
