-- Of some evaluators of a project those that people labelled, and how often.
SELECT Evaluator, count() AS Labels
FROM evaluations FINAL
WHERE Project = {project:String} AND Evaluator IN {evaluators:Array(String)} AND Kind = 'human'
GROUP BY Evaluator
