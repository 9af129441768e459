-- Verdicts of texts that the output of spans contains, is or starts with, one row a span, without documents.
-- `texts` are looked for, `shown` are as sentences have them (parallel arrays).
INSERT INTO evaluations
(
    -- include evaluation_columns
)
SELECT
    -- include evaluation_values
FROM
(
    WITH
        arrayMap(text -> multiIf(
            {how:String} = 'output_contains', toInt64(position(Output, text)) - 1,
            {how:String} = 'output_equals', if(Output = text, 0, -1),
            if(startsWith(Output, text), 0, -1)), {texts:Array(String)}) AS Places,
        arrayFilter((one, place) -> place >= 0, {texts:Array(String)}, Places) AS Held,
        length(Held) = length({texts:Array(String)}) OR ({any:UInt8} = 1 AND notEmpty(Held)) AS Good
    SELECT
        *, SpanId AS Judged, if(Output = '', 'no_data', '') AS Skipped, Good AS Passes,
        multiIf(Output = '', 'There is no output to look at.',
            Good, concat('The output ', {is_so:String}, ' ', arrayStringConcat(
                arrayFilter((one, place) -> place >= 0, {shown:Array(String)}, Places), ', '), '.'),
            concat('The output ', {is_not_so:String}, ' ', arrayStringConcat(
                arrayFilter((one, place) -> place < 0, {shown:Array(String)}, Places), ', '), '.')) AS Told,
        if(Good,
            concat('[', arrayStringConcat(arrayMap((one, place) -> concat('{"span_id":"', SpanId,
                '","field":"Output","start":', toString(place), ',"end":', toString(place + length(one)),
                ',"sha256":"', lower(hex(SHA256(one))), '"}'),
                Held, arrayFilter(place -> place >= 0, Places)), ','), ']'),
            concat('[{"span_id":"', SpanId, '","field":"Output","start":0,"end":', toString(length(Output)),
                ',"sha256":"', lower(hex(SHA256(Output))), '"}]')) AS Cited
    FROM
    (
        -- include evals_spans
    )
    WHERE Meant AND Purpose = ''
)
