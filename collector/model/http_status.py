"""What a refusal looks like over HTTP, on every port: one table from the reason to the status code.

OTLP specification: retryable are 429, 502, 503 and 504, bad data is 400, oversize is 413. Whatever is worth a retry is
503 here, never 429: several SDKs (Python's among them) drop data on 429.
"""

import math
from typing import Final

from collector.errors import Reason, SpanmeterError, Unavailable

HTTP_STATUS: Final = {
    Reason.MALFORMED: 400,
    Reason.TOO_DEEP: 400,
    Reason.INVALID_ID: 400,
    Reason.TOO_LARGE: 413,
    Reason.UNAUTHENTICATED: 401,
    Reason.FORBIDDEN: 403,
    Reason.NOT_FOUND: 404,
    Reason.METHOD: 405,
    Reason.PROTOCOL: 400,
    Reason.MEDIA_TYPE: 415,
    Reason.ENCODING: 415,
    Reason.SLOW: 408,
    Reason.BUSY: 503,
    Reason.SPOOL_FULL: 503,
    Reason.DISK: 503,
    Reason.STOPPING: 503,
    Reason.STORE: 503,
    Reason.CAPTURE: 503,
}

# A reason outside the table is a failure of ours: the client keeps its data and tries again.
OTHER_HTTP_STATUS: Final = 503


def http_status(error: SpanmeterError) -> int:
    """The status code of an answer that says `error`."""
    reason = getattr(error, "reason", None)
    return HTTP_STATUS.get(reason, OTHER_HTTP_STATUS) if isinstance(reason, Reason) else OTHER_HTTP_STATUS


def retry_after(error: SpanmeterError) -> str | None:
    """Retry-After in whole seconds, for errors worth a retry."""
    return str(max(1, math.ceil(error.retry_after))) if isinstance(error, Unavailable) else None
