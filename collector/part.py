"""The contract of everything that runs inside the daemon: `app.py` is a list of parts, and supervises them by it."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from collector.config import Config
from collector.telemetry import Sample


class Part:
    """One thing that runs for as long as the daemon does. What a part has no need of it leaves as it is here.

    The supervisor opens the parts in the order of their list and then runs them all at once. It stops them in the same
    order, which is that of the data, and closes them in the reverse one. A part whose `open` failed is closed too.
    """

    name: ClassVar[str]
    # Paths of the settings it is made from, and of those among them that `reload` takes; a path covers all below it.
    settings: ClassVar[tuple[str, ...]] = ()
    reloadable: ClassVar[tuple[str, ...]] = ()

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports it has taken, by name, once it is open."""
        return {}

    async def open(self) -> None:
        """Take what it needs from the machine: files, locks, ports. Raises StartError, which ends the daemon."""

    async def run(self) -> None:
        """Work until `stop`, or until cancelled after it. Returning early is fine; raising ends the daemon."""

    async def stop(self, grace: float) -> None:
        """Take nothing new and finish what has begun within `grace` seconds; then `run` is cancelled."""

    def close(self) -> None:
        """Give back what `open` and the constructor took. Called once, after `run` has ended; may block."""

    @property
    def busy(self) -> bool:
        """Whether work goes on in a thread that `close` would wait for, however long."""
        return False

    def abandon(self) -> None:
        """The process ends at once, without `close`: leave what its next start should know. Any thread may call it."""

    async def reload(self, config: Config) -> None:
        """Use the settings named in `reloadable` from now on.

        Raises SpanmeterError when they cannot be used: the part goes on with those it has.
        """

    def readings(self) -> Iterable[Sample]:
        """The metrics that are read rather than counted."""
        return ()

    def unready_reason(self) -> str:
        """Why it cannot do its work at present, as a sentence; empty when it can."""
        return ""
