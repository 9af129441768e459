"""Prints `docs/rest.md`: python -m collector.web > docs/rest.md."""

import sys

from collector.web.documents import markdown
from collector.web.operations import OPERATIONS

if __name__ == "__main__":
    sys.stdout.write(markdown(OPERATIONS))
