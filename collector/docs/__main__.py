"""`python -m collector.docs`, at the root of a checkout."""

from pathlib import Path

from collector.docs.documents import write_all

write_all(Path.cwd())
