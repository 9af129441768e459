-- What judges found and is not yet both in the spool and in the store. `request` are the spans of the judgement as an
-- export request, empty without any; `rows` are those of `evaluations`, as an Arrow stream.
CREATE TABLE judgements (
    number INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    request BLOB NOT NULL,
    rows BLOB NOT NULL
);
