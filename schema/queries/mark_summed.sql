-- Batches of which all runs are summed.
INSERT INTO runs_summed
SELECT fromUnixTimestamp64Nano(arrayJoin({batches:Array(Int64)}), 'UTC')
