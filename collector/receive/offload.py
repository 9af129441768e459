"""Requests that take long to look at, away from the event loop: what one sends must not keep the others waiting."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from collector.accept import Acceptor
from collector.admit.limits import Reservation
from collector.admit.validate import Validated
from collector.errors import Reason, Rejected, Unavailable
from collector.model.envelope import Encoding, Signal
from collector.receive.inflate import inflate

Looked = tuple[bytes, Validated | Rejected | Unavailable]

# Decompressing so much takes some milliseconds.
_QUICK_BYTES = 1024 * 1024


def inflate_quickly(message: bytes, coding: str, limit: int) -> bytes | None:
    """As `inflate`; None when the body is so large that decompressing it could hold the event loop."""
    quick = min(limit, _QUICK_BYTES)
    try:
        return inflate(message, coding, quick)
    except Rejected as error:
        if error.reason is not Reason.TOO_LARGE or quick == limit:
            raise
        return None


class Offload:
    """Looks at one request after the other in a thread, so that the memory this takes is that of one."""

    def __init__(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="large-requests")

    def look_at(
        self,
        project: str,
        signal: Signal,
        message: bytes,
        coding: str,
        encoding: Encoding,
        limit: int,
        reservation: Reservation,
    ) -> "asyncio.Future[Looked]":
        """The message decompressed, and what is in it or why it is refused. Raises Rejected for broken data.

        What `reservation` holds for the message is held until then, whatever becomes of the request meanwhile.
        """

        def work() -> Looked:
            body = inflate(message, coding, limit)
            try:
                return body, self._acceptor.validate(project, signal, body, encoding)
            except (Rejected, Unavailable) as error:
                return body, error

        held = reservation.hand_over()
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        future.add_done_callback(lambda _: held.release())
        return future

    def close(self) -> None:
        """Leave what has not begun; its senders have no answer and send it again."""
        self._thread.shutdown(wait=False, cancel_futures=True)
