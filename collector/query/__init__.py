"""The read path: a typed question becomes a named SQL statement, scoped to the asker's project."""
