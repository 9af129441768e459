-- Evaluations: what checks, judges, people and other tools found of runs and spans. Rows are added, never changed; a row
-- that is inserted again after a crash has the same key. They outlive the spans they are about, so agent, feature and
-- model are copied. The columns are those of collector/model/evaluation_rows.py. Read with FINAL.
CREATE TABLE IF NOT EXISTS evaluations
(
    Id String,
    At DateTime64(9),
    Project LowCardinality(String),
    TraceId String,
    SpanId String,
    ConversationId String,
    Target LowCardinality(String),
    Evaluator LowCardinality(String),
    Kind LowCardinality(String),
    Revision LowCardinality(String),
    InputHash String,
    Batch LowCardinality(String),
    Vote UInt16,
    Status LowCardinality(String),
    ErrorType LowCardinality(String),
    Verdict LowCardinality(String),
    Score Nullable(Float64),
    ScoreMin Nullable(Float64),
    ScoreMax Nullable(Float64),
    Label LowCardinality(String),
    Reason String,
    Evidence String,
    Flags Array(LowCardinality(String)),
    Agreement Nullable(Float64),
    JudgeModel LowCardinality(String),
    JudgeProvider LowCardinality(String),
    JudgeTraceId String,
    JudgeSpanId String,
    JudgeCost Nullable(Decimal(18, 12)),
    JudgeInputTokens UInt64,
    JudgeOutputTokens UInt64,
    Duration UInt64,
    Labeler LowCardinality(String),
    Case String,
    Trial UInt16,
    Release LowCardinality(String),
    Probability Float64 DEFAULT 1,
    Agent LowCardinality(String),
    Feature LowCardinality(String),
    Model LowCardinality(String),
    Version UInt64,

    INDEX idx_at At TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(Version)
ORDER BY (Project, TraceId, SpanId, Evaluator, Revision, InputHash, Batch, Vote)
TTL toDateTime(At) + toIntervalSecond(34560000)
SETTINGS
    non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

ALTER TABLE evaluations
    COMMENT COLUMN Id 'Of what is judged, by what, in which batch and vote.',
    COMMENT COLUMN At 'When it was found, UTC.',
    COMMENT COLUMN Project 'Project of the run.',
    COMMENT COLUMN TraceId 'The run.',
    COMMENT COLUMN SpanId 'The span; empty for the run as a whole.',
    COMMENT COLUMN ConversationId 'The conversation of the run.',
    COMMENT COLUMN Target 'What it is about: span, run, conversation or case.',
    COMMENT COLUMN Evaluator 'Name of the evaluator.',
    COMMENT COLUMN Kind 'Who found it: check, judge, human or external.',
    COMMENT COLUMN Revision 'Of the evaluator; those of different revisions are not comparable.',
    COMMENT COLUMN InputHash 'Digest of what was judged.',
    COMMENT COLUMN Batch 'online, or the id of a back-fill, gate or label.',
    COMMENT COLUMN Vote 'Number of the vote; 0 is the result of them all.',
    COMMENT COLUMN Status 'ok, error or skipped: only what is ok has a verdict.',
    COMMENT COLUMN ErrorType 'Why there is no verdict.',
    COMMENT COLUMN Verdict 'pass or fail; empty without one.',
    COMMENT COLUMN Score 'The score, where the evaluator gives one.',
    COMMENT COLUMN ScoreMin 'Least score it can give.',
    COMMENT COLUMN ScoreMax 'Greatest score it can give.',
    COMMENT COLUMN Label 'The word the evaluator chose.',
    COMMENT COLUMN Reason 'Why, in a sentence.',
    COMMENT COLUMN Evidence 'JSON list of span_id, field, start, end (bytes) and sha256 of these bytes.',
    COMMENT COLUMN Flags 'What to know before it is believed.',
    COMMENT COLUMN Agreement 'Share of the votes that agree with it.',
    COMMENT COLUMN JudgeModel 'Model that judged.',
    COMMENT COLUMN JudgeProvider 'Its provider.',
    COMMENT COLUMN JudgeTraceId 'Trace of the judge''s call.',
    COMMENT COLUMN JudgeSpanId 'Span of the judge''s call.',
    COMMENT COLUMN JudgeCost 'USD of the judge''s call; NULL without one or a price.',
    COMMENT COLUMN JudgeInputTokens 'Tokens in of the judge''s call.',
    COMMENT COLUMN JudgeOutputTokens 'Tokens out of the judge''s call.',
    COMMENT COLUMN Duration 'Nanoseconds that it took.',
    COMMENT COLUMN Labeler 'Person who labelled it.',
    COMMENT COLUMN Case 'Case of a test set that the run belongs to.',
    COMMENT COLUMN Trial 'Which run of that case.',
    COMMENT COLUMN Release 'Version of the service (service.version).',
    COMMENT COLUMN Probability 'Of having been sampled: estimates weight by its inverse.',
    COMMENT COLUMN Agent 'Agent of the run or span.',
    COMMENT COLUMN Feature 'Feature of the run or span.',
    COMMENT COLUMN Model 'Model of the span, or the only one of the run.',
    COMMENT COLUMN Version 'Of rows with one key, the highest counts.';

ALTER TABLE evaluations MODIFY COMMENT 'Evaluations: one row each that was found, those that later ones replaced too.';

-- Of each run and span the row that counts of each evaluator: the newest of those that are not votes. What people found
-- stands beside it.
CREATE OR REPLACE VIEW evaluations_current
SQL SECURITY INVOKER
AS SELECT *
FROM evaluations FINAL
WHERE Vote = 0
ORDER BY Project, TraceId, SpanId, Evaluator, Kind = 'human', At DESC, Id
LIMIT 1 BY Project, TraceId, SpanId, Evaluator, Kind = 'human'
COMMENT 'Evaluations that count: of each run or span and evaluator the newest.';

ALTER TABLE evaluations_current
    COMMENT COLUMN Id 'Of what is judged, by what, in which batch and vote.',
    COMMENT COLUMN At 'When it was found, UTC.',
    COMMENT COLUMN Project 'Project of the run.',
    COMMENT COLUMN TraceId 'The run.',
    COMMENT COLUMN SpanId 'The span; empty for the run as a whole.',
    COMMENT COLUMN ConversationId 'The conversation of the run.',
    COMMENT COLUMN Target 'What it is about: span, run, conversation or case.',
    COMMENT COLUMN Evaluator 'Name of the evaluator.',
    COMMENT COLUMN Kind 'Who found it: check, judge, human or external.',
    COMMENT COLUMN Revision 'Of the evaluator; those of different revisions are not comparable.',
    COMMENT COLUMN InputHash 'Digest of what was judged.',
    COMMENT COLUMN Batch 'online, or the id of a back-fill, gate or label.',
    COMMENT COLUMN Vote 'Number of the vote; 0 is the result of them all.',
    COMMENT COLUMN Status 'ok, error or skipped: only what is ok has a verdict.',
    COMMENT COLUMN ErrorType 'Why there is no verdict.',
    COMMENT COLUMN Verdict 'pass or fail; empty without one.',
    COMMENT COLUMN Score 'The score, where the evaluator gives one.',
    COMMENT COLUMN ScoreMin 'Least score it can give.',
    COMMENT COLUMN ScoreMax 'Greatest score it can give.',
    COMMENT COLUMN Label 'The word the evaluator chose.',
    COMMENT COLUMN Reason 'Why, in a sentence.',
    COMMENT COLUMN Evidence 'JSON list of span_id, field, start, end (bytes) and sha256 of these bytes.',
    COMMENT COLUMN Flags 'What to know before it is believed.',
    COMMENT COLUMN Agreement 'Share of the votes that agree with it.',
    COMMENT COLUMN JudgeModel 'Model that judged.',
    COMMENT COLUMN JudgeProvider 'Its provider.',
    COMMENT COLUMN JudgeTraceId 'Trace of the judge''s call.',
    COMMENT COLUMN JudgeSpanId 'Span of the judge''s call.',
    COMMENT COLUMN JudgeCost 'USD of the judge''s call; NULL without one or a price.',
    COMMENT COLUMN JudgeInputTokens 'Tokens in of the judge''s call.',
    COMMENT COLUMN JudgeOutputTokens 'Tokens out of the judge''s call.',
    COMMENT COLUMN Duration 'Nanoseconds that it took.',
    COMMENT COLUMN Labeler 'Person who labelled it.',
    COMMENT COLUMN Case 'Case of a test set that the run belongs to.',
    COMMENT COLUMN Trial 'Which run of that case.',
    COMMENT COLUMN Release 'Version of the service (service.version).',
    COMMENT COLUMN Probability 'Of having been sampled: estimates weight by its inverse.',
    COMMENT COLUMN Agent 'Agent of the run or span.',
    COMMENT COLUMN Feature 'Feature of the run or span.',
    COMMENT COLUMN Model 'Model of the span, or the only one of the run.',
    COMMENT COLUMN Version 'Of rows with one key, the highest counts.';

-- Days are UTC. Weighted: each verdict counts as the inverse of the probability with which its run was sampled.
CREATE OR REPLACE VIEW pass_rates_daily
SQL SECURITY INVOKER
AS SELECT
    Project, toDate(At) AS Day, Evaluator, Revision, Kind, Agent, Feature,
    countIf(Status = 'ok') AS Judged, countIf(Status = 'error') AS Errors, countIf(Status = 'skipped') AS Skipped,
    countIf(Verdict = 'pass') AS Passed, countIf(Verdict = 'fail') AS Failed,
    sumIf(1 / Probability, Verdict = 'pass') / nullIf(sumIf(1 / Probability, Verdict != ''), 0) AS PassRate,
    avg(Score) AS MeanScore, sum(JudgeCost) AS JudgeCost
FROM evaluations_current
GROUP BY Project, Day, Evaluator, Revision, Kind, Agent, Feature
COMMENT 'Pass rates by day, evaluator and revision.';

ALTER TABLE pass_rates_daily
    COMMENT COLUMN Project 'Project of the runs.',
    COMMENT COLUMN Day 'Day on which they were judged, UTC.',
    COMMENT COLUMN Evaluator 'Name of the evaluator.',
    COMMENT COLUMN Revision 'Of the evaluator; those of different revisions are not comparable.',
    COMMENT COLUMN Kind 'Who found it: check, judge, human or external.',
    COMMENT COLUMN Agent 'Agent of the run or span.',
    COMMENT COLUMN Feature 'Feature of the run or span.',
    COMMENT COLUMN Judged 'Evaluations that came to an end.',
    COMMENT COLUMN Errors 'Evaluations that failed, which say nothing of the run.',
    COMMENT COLUMN Skipped 'Evaluations that had nothing to look at, or no money left.',
    COMMENT COLUMN Passed 'Verdicts pass.',
    COMMENT COLUMN Failed 'Verdicts fail.',
    COMMENT COLUMN PassRate 'Share that passed, each weighted by the inverse of the probability of having been sampled.',
    COMMENT COLUMN MeanScore 'Mean of the scores.',
    COMMENT COLUMN JudgeCost 'USD that judging took, where it is known.';
