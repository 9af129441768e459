"""The failures every stage speaks of: `Rejected` for good, `Unavailable` for now, and two that stop a start.

No stage decides by reading a message: the `Reason` is the decision, the message is the sentence for people.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a request or record was not taken. Values are metric labels."""

    MALFORMED = "malformed"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD = "method_not_allowed"
    PROTOCOL = "wrong_protocol"
    MEDIA_TYPE = "unsupported_media_type"
    ENCODING = "unsupported_encoding"
    SLOW = "slow_request"
    BUSY = "busy"
    SPOOL_FULL = "spool_full"
    DISK = "disk"
    STOPPING = "stopping"
    STORE = "store"
    INVALID_ID = "invalid_id"
    POISON = "poison"
    CORRUPT = "corrupt"
    SIGNAL = "unsupported_signal"
    FATAL = "fatal"
    DEAD_LETTER_FULL = "dead_letter_full"
    INTERNAL = "internal"
    CAPTURE = "capture"


class SpanmeterError(Exception):
    """Base of all errors spanmeter raises on purpose; `str()` is a sentence for people."""


class Rejected(SpanmeterError):  # noqa: N818 - the design's vocabulary: a decision, not a malfunction
    """The same bytes will fail again; the sender must not retry them."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unavailable(SpanmeterError):  # noqa: N818
    """The same bytes may succeed later; `retry_after` is a hint in seconds."""

    def __init__(self, reason: Reason, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


class ConfigError(SpanmeterError):
    """The configuration cannot be used as written (exit code 2)."""


class StartError(SpanmeterError):
    """The configuration is sound but the daemon cannot start here (exit code 3)."""


class Cancelled(SpanmeterError):  # noqa: N818
    """The work was asked to end before it was done; what it had finished stays."""


def let_go(error: BaseException | None) -> None:
    """Free what the frames that raised an error hold, once it is handled.

    An exception that such a frame names holds itself, and with it a request's body, until cycles are collected.
    """
    while error:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
