-- Verdicts of a bound on spans, one row a span, without documents.
INSERT INTO evaluations
(
    -- include evaluation_columns
)
SELECT
    -- include evaluation_values
FROM
(
    WITH
        ifNull({max:Nullable(Decimal(38, 12))} IS NOT NULL AND Figure > {max:Nullable(Decimal(38, 12))}, false) AS Beyond,
        ifNull({min:Nullable(Decimal(38, 12))} IS NOT NULL AND Figure < {min:Nullable(Decimal(38, 12))}, false) AS Below,
        ifNull(toString(Figure), '') AS Shown
    SELECT
        *, SpanId AS Judged,
        if(Figure IS NULL OR ({metric:String} = 'cost_usd' AND Unpriced AND NOT Beyond), 'unpriced', '') AS Skipped,
        NOT Beyond AND NOT Below AS Passes,
        multiIf(Skipped != '', 'It has calls without a price.',
            Beyond, concat({metric:String}, ' is ', Shown, ', more than ', {max_text:String}, '.'),
            Below, concat({metric:String}, ' is ', Shown, ', less than ', {min_text:String}, '.'),
            concat({metric:String}, ' is ', Shown, '.')) AS Told,
        concat('[{"span_id":"', SpanId, '","field":"', {metric:String}, '","start":0,"end":', toString(length(Shown)),
            ',"sha256":"', lower(hex(SHA256(Shown))), '"}]') AS Cited
    FROM
    (
        SELECT
            *,
            PriceStatus = 'unknown_model' OR (Kind = 'llm' AND PriceStatus = 'no_usage' AND NOT Failed) AS Unpriced,
            multiIf(
                {metric:String} = 'cost_usd',
                    if(Cost IS NULL AND NOT (PriceStatus IN ('priced', 'reported', 'unknown_model')
                        OR (Kind = 'llm' AND PriceStatus = 'no_usage')),
                        toDecimal128(0, 12), CAST(Cost, 'Nullable(Decimal(38, 12))')),
                {metric:String} = 'duration_ms', CAST(Lasted, 'Nullable(Decimal(38, 12))') / 1000000,
                {metric:String} = 'input_tokens',
                    CAST(if(PriceStatus = 'rolled_up', 0, InputTokens), 'Nullable(Decimal(38, 12))'),
                {metric:String} = 'output_tokens',
                    CAST(if(PriceStatus = 'rolled_up', 0, OutputTokens), 'Nullable(Decimal(38, 12))'),
                CAST(Failed, 'Nullable(Decimal(38, 12))')) AS Figure
        FROM
        (
            -- include evals_spans
        )
        WHERE Meant AND Purpose = ''
    )
)
