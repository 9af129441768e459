"""The leases of judges' calls: what a call may cost at most is set aside before it is made."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

from collector.budgets.decisions import Estimate
from collector.config import cap_name
from collector.errors import Reason, Unavailable
from collector.spending.enforcement import Enforcement, Run

_Made = TypeVar("_Made")
# The ledger may be being built; seconds.
_WAITS: Final = (0.1, 0.5, 1, 2, 5, 10, 20, 30)
_LOOK_UP: Final = 1.0


class JudgeLeases:
    """For any thread but the loop's own, once `use` has named the loop. Every method blocks, and raises Unavailable.

    `max_calls` is how many calls an evaluator of the settings may make in its period, None when they are not counted.
    """

    def __init__(self, enforcement: Enforcement, max_calls: Callable[[str], int | None]) -> None:
        self._enforcement = enforcement
        self._max_calls = max_calls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()

    def use(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop that enforcement belongs to."""
        self._loop = loop

    def caps(self, evaluator: str) -> bool:
        """Whether a budget is the cap of an evaluator."""
        return self._enforcement.rules.find(cap_name(evaluator)) is not None

    def reserve(self, project: str, evaluator: str, stated: Mapping[str, str], pico: int, tokens: int) -> str | None:
        """The id of the lease, empty where no budget asks for one; None when there is no room."""
        max_calls = self._max_calls(evaluator)
        calls = None if max_calls is None else (cap_name(evaluator), max_calls)
        run = Run(project, stated, Estimate(pico, tokens))
        for wait in _WAITS:
            try:
                lease = self.wait(self._enforcement.hold(run, calls))
            except Unavailable:
                if self._stopping.wait(wait):
                    raise
            else:
                return lease.id if lease else None
        raise Unavailable(Reason.BUSY, "No lease could be had for the calls of judges.")

    def spent(self, project: str, lease_id: str, pico: int, tokens: int) -> None:
        """The call of a lease has cost so much."""
        self.wait(self._enforcement.spent(project, lease_id, Estimate(pico, tokens)))

    def release(self, project: str, lease_id: str) -> None:
        """There was no call."""
        self.wait(self._enforcement.release(project, lease_id))

    def stop(self) -> None:
        """Whoever waits, waits no longer."""
        self._stopping.set()

    def wait(self, work: Coroutine[Any, Any, _Made]) -> _Made:
        """What a coroutine of the loop comes to."""
        if self._loop is None or self._loop.is_closed():
            work.close()
            raise _stopped()
        under_way = asyncio.run_coroutine_threadsafe(work, self._loop)
        while True:
            try:
                return under_way.result(_LOOK_UP)
            except TimeoutError:  # the loop may have ended meanwhile
                if self._stopping.is_set():
                    under_way.cancel()
                    raise _stopped() from None


def _stopped() -> Unavailable:
    return Unavailable(Reason.STOPPING, "The daemon is stopping.")
