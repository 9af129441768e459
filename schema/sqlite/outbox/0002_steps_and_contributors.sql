-- `step`: the start of the step of the last event of a line; the threshold of a line is with its limit now.
DELETE FROM lines_over;
ALTER TABLE lines_over ADD COLUMN step INTEGER NOT NULL DEFAULT 0;

-- `described` is 0 while an event lacks what only ClickHouse knows.
ALTER TABLE events ADD COLUMN described INTEGER NOT NULL DEFAULT 1;
CREATE INDEX events_to_describe ON events (seq) WHERE described = 0;
