-- The audit row of a finished reprice.
INSERT INTO reprices (Since, Until, Model, Catalogue, Rows, Before, After)
VALUES (
    fromUnixTimestamp64Nano({since:Int64}, 'UTC'), fromUnixTimestamp64Nano({until:Int64}, 'UTC'), {model:String},
    {catalogue:String}, {rows:UInt64}, {before:String}, {after:String}
)
