-- `project`: the only one whose calls counted; empty where several may have, and for events of before.
ALTER TABLE events ADD COLUMN project TEXT NOT NULL DEFAULT '';
