-- A part: as named_by_column.sql, of the attribute `by`: of the span, else of its resource; the span alone names it for
-- its run.
if(SpanAttributes[{by:String}] != '', SpanAttributes[{by:String}], ResourceAttributes[{by:String}]) AS Named,
SpanAttributes[{by:String}] AS NamedForRun
