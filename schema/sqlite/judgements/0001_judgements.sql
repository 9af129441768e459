-- What judges found and is not yet both in the spool and in the store. `request` are spans as an export request, `rows`
-- those of `evaluations` as an Arrow stream; either may be empty.
CREATE TABLE judgements (
    number INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    request BLOB NOT NULL,
    rows BLOB NOT NULL
);
