"""One POST to one endpoint: bounded in time and in what is read of the answer. Redirects are never followed."""

import asyncio
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass

import httpcore2

from collector import __version__
from collector.errors import SpanmeterError
from collector.net.addresses import CheckedBackend, Resolver, TargetRefused, look_up
from collector.webhooks.endpoint import Endpoint

_MAX_READ = 16 * 1024
_EXCERPT = 1000
_BODY_SECONDS = 1.0
_LOOKUPS = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver answered; `content` is the beginning of its body, `retry_after` the header as sent."""

    status: int
    content: bytes
    retry_after: str | None

    @property
    def excerpt(self) -> str:
        """The first characters of the body."""
        return self.content[: 4 * _EXCERPT].decode(errors="replace")[:_EXCERPT]


class NoAnswer(SpanmeterError):  # noqa: N818 - a fact about the network, not a malfunction
    """There is no answer; `str()` says why, without the URL's path."""


class Client:
    """Posts bodies. `trust` holds the certificate authorities, the system's by default."""

    def __init__(self, trust: ssl.SSLContext | None = None, resolve: Resolver | None = None) -> None:
        self._trust = trust
        self._resolve = resolve
        # Threads an endpoint: a name server that hangs holds up those who ask it, and no other endpoint.
        self._threads: dict[str, ThreadPoolExecutor] = {}

    async def post(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send `body`, JSON unless `headers` say otherwise. Raises NoAnswer."""
        sent = {"content-type": "application/json", "user-agent": f"spanmeter/{__version__}", **headers}
        try:
            async with asyncio.timeout(endpoint.timeout):
                return await self._exchange(endpoint, sent, body)
        except TimeoutError:
            raise NoAnswer(f"{endpoint.address} did not answer within {endpoint.timeout:g} s.") from None
        except TargetRefused as error:
            raise NoAnswer(str(error)) from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError) as error:
            raise NoAnswer(f"{endpoint.address} cannot be reached: {_why(error)}.") from None
        except (httpcore2.UnsupportedProtocol, ValueError):
            raise NoAnswer(f"The URL of {endpoint.name} is none that can be sent to.") from None

    def close(self) -> None:
        """Let go of the look-ups that are under way."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)

    async def _exchange(self, endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> Answer:
        # A connection an attempt: events are rare, and one that was kept may be closed when it is needed.
        pool = httpcore2.AsyncConnectionPool(
            ssl_context=self._trusted() if endpoint.url.startswith("https:") else None,
            network_backend=CheckedBackend(self._resolver(endpoint), allow_private=endpoint.allow_private),
            max_keepalive_connections=0,
        )
        sent = list(headers.items())
        async with pool, pool.stream("POST", endpoint.url, headers=sent, content=body) as response:
            received = {name.lower(): value for name, value in response.headers}
            retry_after = received.get(b"retry-after")
            return Answer(
                response.status,
                await _beginning(response),
                retry_after.decode("latin-1") if retry_after is not None else None,
            )

    def _trusted(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = httpcore2.default_ssl_context()
        return self._trust

    def _resolver(self, endpoint: Endpoint) -> Resolver:
        if self._resolve:
            return self._resolve
        if endpoint.name not in self._threads:
            self._threads[endpoint.name] = ThreadPoolExecutor(_LOOKUPS, "webhooks-lookup")
        threads = self._threads[endpoint.name]

        async def resolve(host: str, port: int) -> list[str]:
            return await asyncio.get_running_loop().run_in_executor(threads, look_up, host, port)

        return resolve


async def _beginning(response: httpcore2.Response) -> bytes:
    """The first bytes of the body; the answer counts even when the rest of it does not arrive."""
    data = b""
    try:
        async with asyncio.timeout(_BODY_SECONDS), aclosing(response.aiter_stream()) as chunks:
            async for chunk in chunks:
                data += chunk
                if len(data) >= _MAX_READ:
                    break
    except (TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError):
        pass
    return data


def _why(error: BaseException) -> str:
    """The first cause: "connection refused" rather than "all attempts failed"."""
    while cause := error.args[0] if error.args and isinstance(error.args[0], BaseException) else error.__cause__:
        error = cause
    return (str(error) or type(error).__name__).rstrip(".")[:300]
