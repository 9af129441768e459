-- Verdicts of why models stopped, one row a span, without documents.
INSERT INTO evaluations
(
    -- include evaluation_columns
)
SELECT
    -- include evaluation_values
FROM
(
    WITH lowerUTF8(FinishReason) AS Word
    SELECT
        *, SpanId AS Judged, if(FinishReason = '', 'no_data', '') AS Skipped,
        if(empty({allowed:Array(String)}), Word NOT IN {cut_short:Array(String)}, Word IN {allowed:Array(String)}) AS Passes,
        multiIf(FinishReason = '', 'No call tells why the model stopped.',
            Passes, concat('Models stopped with ', FinishReason, '.'),
            concat('A model stopped with ', FinishReason, '.')) AS Told,
        concat('[{"span_id":"', SpanId, '","field":"FinishReason","start":0,"end":', toString(length(FinishReason)),
            ',"sha256":"', lower(hex(SHA256(FinishReason))), '"}]') AS Cited
    FROM
    (
        -- include evals_spans
    )
    WHERE Meant AND Purpose = ''
)
