-- A part: a row of what is found (`Skipped`, `Passes`, `Told`, `Cited`) of a run, or of its span `Judged`.
concat('ev_', substring(lower(hex(SHA256(arrayStringConcat(
    [{project:String}, TraceId, Judged, {evaluator:String}, {revision:String}, Input, {batch:String}, '0'],
    '\n')))), 1, 24)),
fromUnixTimestamp64Nano({at:Int64}, 'UTC'), {project:String}, TraceId, Judged, ConversationId, {target:String},
{evaluator:String}, 'check', {revision:String}, Input, {batch:String}, if(Skipped = '', 'ok', 'skipped'), Skipped,
multiIf(Skipped != '', '', Passes, 'pass', 'fail'), if(Skipped = '', toFloat64(Passes), NULL),
if(Skipped = '', 0, NULL), if(Skipped = '', 1, NULL), Told, if(Skipped = '', Cited, ''), Release,
{probability:Float64}, Agent, Feature, Model, toUInt64({at:Int64})
