-- A part: the runs of a project of which the kept sums are not those of their spans.
SELECT DISTINCT TraceId
FROM runs_touched
WHERE Project = {project:String}
  AND At NOT IN (SELECT At FROM runs_summed)
