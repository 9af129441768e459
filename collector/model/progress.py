"""How long work says how far it is."""

from collections.abc import Callable

# Called between steps with how many are done, of how many in all. Raises Cancelled when the work should end.
Progress = Callable[[int, int], None]


def no_progress(_done: int, _total: int) -> None:
    """For work that nobody watches."""
