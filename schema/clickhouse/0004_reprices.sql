-- The audit trail of `spanmeter reprice`: one row each time stored prices were changed.
CREATE TABLE IF NOT EXISTS reprices
(
    At DateTime64(3) DEFAULT now64(3),
    Since DateTime,
    Until DateTime,
    Model String,
    Catalogue String,
    Rows UInt64,
    Before Decimal(38, 12),
    After Decimal(38, 12)
)
ENGINE = MergeTree
ORDER BY At
SETTINGS fsync_after_insert = 1;
