-- A part: every hour from the first to the last of each run in `lookup`.
arrayJoin(arrayMap(
    second -> toDateTime(second),
    range(toUnixTimestamp(toStartOfHour(First)), toUnixTimestamp(Last) + 1, 3600)))
