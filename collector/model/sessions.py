"""How rows of spans that are made of logs are told from those that were sent."""

from typing import Final

# The scope of every derived row begins so, and ends with its family.
DERIVED_SCOPE: Final = "spanmeter.sessions."

# What a row says that stands for nothing any more, since events which came later moved it to another trace.
WITHDRAWN: Final = "spanmeter.withdrawn"
