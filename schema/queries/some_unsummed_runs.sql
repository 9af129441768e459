-- A part: in place of unsummed_runs, the runs named by `unsummed`.
SELECT arrayJoin({unsummed:Array(String)})
