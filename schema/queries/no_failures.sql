-- A part: no run has failures that it is ranked by.
toInt64(0)
