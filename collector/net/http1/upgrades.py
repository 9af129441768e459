"""A request parser that does not let clients change the protocol."""

from typing import Protocol

import httptools


class Requests(Protocol):
    """Takes the parser's callbacks, and keeps the head of the current request; header names in lower case."""

    url: bytes
    headers: list[tuple[bytes, bytes]]


class DeafToUpgrades:
    """httptools' parser, which takes everything behind the head for the other protocol where an upgrade is offered.

    RFC 9110 section 7.8 lets a server ignore the offer: the head is parsed again without it, and the body after it.
    Java's client makes such an offer on every plain connection.
    """

    def __init__(self, protocol: Requests) -> None:
        self._protocol = protocol
        self._begin()

    def _begin(self) -> None:
        parser = httptools.HttpRequestParser(self._protocol)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # what to do then is the connection's matter
        self._parser = parser
        self.should_upgrade = parser.should_upgrade
        self.should_keep_alive = parser.should_keep_alive
        self.get_http_version = parser.get_http_version
        self.get_method = parser.get_method

    def feed_data(self, data: bytes) -> None:
        """Parse on. Raises HttpParserError; HttpParserUpgrade only for what is no offer, such as CONNECT."""
        rest = data
        while True:
            try:
                self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as offer:
                if not self.offers_upgrade():
                    raise
                head = self._head_without_offer()
                self._begin()
                rest = head + rest[offer.args[0] :]
            else:
                return

    def offers_upgrade(self) -> bool:
        """Whether the current request would rather speak another protocol. CONNECT is no offer."""
        return self.should_upgrade() and any(name == b"upgrade" for name, _ in self._protocol.headers)

    def _head_without_offer(self) -> bytes:
        version: str = self.get_http_version()
        lines = [b" ".join((self.get_method(), self._protocol.url, b"HTTP/" + version.encode()))]
        lines += [b": ".join(header) for header in self._protocol.headers if header[0] != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"
