-- What may follow the name of an aggregate function.
SELECT name
FROM system.aggregate_function_combinators
FORMAT JSONEachRow
