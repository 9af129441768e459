-- The audit row of a finished reprice.
INSERT INTO reprices (Since, Until, Model, Catalogue, Rows, Before, After)
VALUES (
    {since:DateTime}, {until:DateTime}, {model:String}, {catalogue:String}, {rows:UInt64}, {before:String},
    {after:String}
)
