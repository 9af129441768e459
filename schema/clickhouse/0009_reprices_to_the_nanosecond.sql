-- The period of a reprice, as exactly as it was asked for.
ALTER TABLE reprices
    MODIFY COLUMN Since DateTime64(9),
    MODIFY COLUMN Until DateTime64(9);
