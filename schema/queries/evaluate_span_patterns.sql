-- Verdicts of a pattern on the output of spans, one row a span, without documents. The pattern's first group is what
-- stands before the match, its second the match.
INSERT INTO evaluations
(
    -- include evaluation_columns
)
SELECT
    -- include evaluation_values
FROM
(
    WITH
        extractGroups(Output, {pattern:String}) AS Groups,
        notEmpty(Groups) AS Good,
        if(Good, length(Groups[1]), 0) AS First,
        if(Good, Groups[2], Output) AS Quoted
    SELECT
        *, SpanId AS Judged, if(Output = '', 'no_data', '') AS Skipped, Good AS Passes,
        multiIf(Output = '', 'There is no output to look at.',
            Good, concat('The output matches ', {shown_pattern:String}, '.'),
            concat('The output does not match ', {shown_pattern:String}, '.')) AS Told,
        concat('[{"span_id":"', SpanId, '","field":"Output","start":', toString(First), ',"end":',
            toString(First + length(Quoted)), ',"sha256":"', lower(hex(SHA256(Quoted))), '"}]') AS Cited
    FROM
    (
        -- include evals_spans
    )
    WHERE Meant AND Purpose = ''
)
