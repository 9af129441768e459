-- Every function of the engine, and what decides whether a query may call it.
SELECT name, is_aggregate, case_insensitive, alias_to, categories
FROM system.functions
FORMAT JSONEachRow
