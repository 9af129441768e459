"""Cross-origin requests (https://fetch.spec.whatwg.org/#http-cors-protocol): which browser origins may send."""

import re
from collections.abc import Mapping

from collector.config import CorsConfig
from collector.receive.answers import http_response

_HEADERS = ("content-type", "content-encoding", "authorization", "x-api-key")


class Cors:
    """The configured origins, and what browsers are answered. Header names are in lower case."""

    def __init__(self, config: CorsConfig) -> None:
        patterns = (re.escape(origin).replace(r"\*", ".*") for origin in config.allowed_origins)
        self._allowed = re.compile("|".join(patterns).encode()) if config.allowed_origins else None
        headers = ", ".join((*_HEADERS, *config.allowed_headers))
        self._preflight = (
            f"access-control-allow-methods: POST\r\naccess-control-allow-headers: {headers}\r\n"
            f"access-control-max-age: {int(config.max_age)}\r\n"
        ).encode()

    def lines(self, headers: Mapping[bytes, bytes]) -> bytes:
        """Header lines for the answer to a request with these headers."""
        origin = headers.get(b"origin")
        if self._allowed is None or origin is None:
            return b""
        if not self._allowed.fullmatch(origin):
            return b"vary: origin\r\n"
        return b"access-control-allow-origin: %s\r\nvary: origin\r\n" % origin

    def preflight(self, method: bytes, headers: Mapping[bytes, bytes], lines: bytes) -> bytes | None:
        """The answer to a browser that asks whether it may send; None for any other request."""
        if self._allowed is None or method != b"OPTIONS" or b"access-control-request-method" not in headers:
            return None
        origin = headers.get(b"origin")
        if origin is None:
            return None
        if not self._allowed.fullmatch(origin):
            return http_response(400, None, b"This origin may not send.", lines)
        return http_response(200, None, b"", lines + self._preflight)
