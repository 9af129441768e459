-- A part: the columns of evaluations that statements fill, in the order of evaluation_values.
Id, At, Project, TraceId, SpanId, ConversationId, Target, Evaluator, Kind, Revision, InputHash, Batch, Status, ErrorType,
Verdict, Score, ScoreMin, ScoreMax, Reason, Evidence, Release, Probability, Agent, Feature, Model, Version
