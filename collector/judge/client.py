"""Asks a model server, once a call: bounded in time, in what is read, and in how often it is asked again."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

import httpcore2

from collector import __version__
from collector.errors import SpanmeterError
from collector.judge.dialects import ModelAnswer, Unreadable
from collector.judge.endpoint import JudgeEndpoint
from collector.judge.prompt import Prompt
from collector.judge.question import Asking
from collector.model.clock import Clock
from collector.net.addresses import CheckedBackend, Resolver, TargetRefused, look_up

_MAX_READ: Final = 4 * 1024 * 1024
_MAX_WAIT: Final = 30.0  # the longest Retry-After that is waited for
_FIRST_WAIT: Final = 0.5
_MAX_CONNECT: Final = 10.0  # a server that nobody has reached has charged nothing, and is tried again


class CallFault(StrEnum):
    """Why there is no answer; `error_type` of the row."""

    AUTH = "judge_auth"
    MODEL = "judge_model"
    QUOTA = "judge_quota"
    RATE = "judge_rate_limited"
    CONTEXT = "judge_context"
    REQUEST = "judge_request"
    UNAVAILABLE = "judge_unavailable"
    TIMEOUT = "judge_timeout"
    REFUSED_ADDRESS = "judge_address"


_AGAIN = {CallFault.RATE, CallFault.UNAVAILABLE}


class CallFailed(SpanmeterError):  # noqa: N818 - a fact about the server, not a malfunction
    """There is no answer. `billed` says whether the server may have charged for it all the same."""

    def __init__(self, fault: CallFault, text: str, *, billed: bool = False, wait: float | None = None) -> None:
        super().__init__(text)
        self.fault = fault
        self.billed = billed
        self.wait = wait

    @property
    def again(self) -> bool:
        """Whether asking again may help."""
        return self.fault in _AGAIN and (self.wait or 0) <= _MAX_WAIT


class _NoSchema(Exception):  # noqa: N818 - how the server answered
    """The server takes no schema."""


class ModelClient:
    """Asks endpoints. `trust` holds the certificate authorities, the system's by default; `sleep` is asyncio's."""

    def __init__(
        self,
        clock: Clock,
        trust: ssl.SSLContext | None = None,
        resolve: Resolver | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._trust = trust
        self._resolve = resolve or _resolve
        self._sleep = sleep
        self._without_schema: set[str] = set()
        self._in_flight: dict[str, asyncio.Semaphore] = {}

    async def wait_before(self, attempt: int, failure: CallFailed) -> None:
        """Wait as the server asks, else longer after each attempt; `attempt` counts from 0."""
        await self._sleep(min(_MAX_WAIT, _FIRST_WAIT * 2**attempt if failure.wait is None else failure.wait))

    async def ask(
        self, endpoint: JudgeEndpoint, asking: Asking, prompt: Prompt, schema: Mapping[str, object]
    ) -> ModelAnswer:
        """One request, and one more without a schema where the server takes none. Raises CallFailed, ConfigError."""
        gate = self._in_flight.setdefault(endpoint.name, asyncio.Semaphore(endpoint.concurrency))
        place = f"{endpoint.url} {asking.model}"
        async with gate:
            if place not in self._without_schema:
                try:
                    return await self._timed(endpoint, asking, prompt, schema)
                except _NoSchema:
                    self._without_schema.add(place)
            return await self._timed(endpoint, asking, prompt, None)

    async def _timed(
        self, endpoint: JudgeEndpoint, asking: Asking, prompt: Prompt, schema: Mapping[str, object] | None
    ) -> ModelAnswer:
        body = json.dumps(endpoint.dialect.body(prompt, asking, schema)).encode()
        headers = {
            "content-type": "application/json",
            "user-agent": f"spanmeter/{__version__}",
            **endpoint.dialect.headers(endpoint.key()),
        }
        try:
            async with asyncio.timeout(asking.timeout):
                status, received, data = await self._exchange(endpoint, headers, body, asking.timeout / 3)
        except TimeoutError:
            text = f"{endpoint.address} did not answer within {asking.timeout:g} s."
            raise CallFailed(CallFault.TIMEOUT, text, billed=True) from None
        except TargetRefused as error:
            raise CallFailed(CallFault.REFUSED_ADDRESS, str(error)) from None
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
            raise CallFailed(CallFault.UNAVAILABLE, f"{endpoint.address} cannot be reached: {_why(error)}.") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError) as error:
            text = f"{endpoint.address} broke off its answer: {_why(error)}."
            raise CallFailed(CallFault.UNAVAILABLE, text, billed=True) from None
        except (httpcore2.UnsupportedProtocol, ValueError):
            text = f"The URL of the judge {endpoint.name!r} is none that can be sent to."
            raise CallFailed(CallFault.REQUEST, text) from None
        if status != 200:
            raise self._failure(endpoint, status, received, data, with_schema=schema is not None)
        return self._read(endpoint, data)

    def _read(self, endpoint: JudgeEndpoint, data: bytes) -> ModelAnswer:
        try:
            return endpoint.dialect.answer(json.loads(data))
        except (ValueError, RecursionError):
            text = f"{endpoint.address} answered 200 with something that is not JSON."
        except Unreadable as error:
            text = f"{endpoint.address} answered 200 with JSON that is no answer: {error}."
        raise CallFailed(CallFault.UNAVAILABLE, text, billed=True)

    async def _exchange(
        self, endpoint: JudgeEndpoint, headers: Mapping[str, str], body: bytes, connect: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        # A connection a call: judging is slow beside a handshake, and what was looked up is what is connected to.
        pool = httpcore2.AsyncConnectionPool(
            ssl_context=self._trusted() if endpoint.url.startswith("https:") else None,
            network_backend=CheckedBackend(self._resolve, allow_private=endpoint.allow_private),
            max_keepalive_connections=0,
        )
        sent, limits = list(headers.items()), {"timeout": {"connect": min(connect, _MAX_CONNECT)}}
        async with pool, pool.stream("POST", endpoint.url, headers=sent, content=body, extensions=limits) as response:
            received = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            data = bytearray()
            async with aclosing(response.aiter_stream()) as chunks:
                async for chunk in chunks:
                    data += chunk
                    if len(data) > _MAX_READ:
                        raise httpcore2.RemoteProtocolError(f"it is longer than {_MAX_READ} bytes")
            return response.status, received, bytes(data)

    def _failure(
        self, endpoint: JudgeEndpoint, status: int, headers: Mapping[str, str], data: bytes, *, with_schema: bool
    ) -> Exception:
        text, code = _error_of(data)
        wait = _retry_after(headers.get("retry-after", ""), self._clock)
        said = f"{endpoint.address} answered {status}{f': {text}' if text else '.'}"
        refuses_schema = any(word in text for word in ("response_format", "schema", "output_config", "output_format"))
        if with_schema and status in {400, 422} and refuses_schema:
            return _NoSchema()
        if status in {401, 403}:
            hint = f" Is {endpoint.key_env} right?" if endpoint.key_env else " It wants a key: set key_env."
            return CallFailed(CallFault.AUTH, said + hint)
        return CallFailed(_fault_of(status, text, code), said, wait=wait)

    def _trusted(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = httpcore2.default_ssl_context()
        return self._trust


def _fault_of(status: int, text: str, code: str) -> CallFault:
    if status == 429:
        return CallFault.QUOTA if code == "insufficient_quota" else CallFault.RATE
    if status >= 500 or status == 408:
        return CallFault.UNAVAILABLE
    if code == "context_length_exceeded" or "context length" in text or "too long" in text or status == 413:
        return CallFault.CONTEXT
    return CallFault.MODEL if status == 404 else CallFault.REQUEST


async def _resolve(host: str, port: int) -> list[str]:
    return await asyncio.to_thread(look_up, host, port)


def _error_of(data: bytes) -> tuple[str, str]:
    """The server's sentence and its code, from either dialect's body."""
    try:
        error = json.loads(data)["error"]
        return str(error.get("message") or "")[:300], str(error.get("code") or error.get("type") or "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", ""


def _retry_after(value: str, clock: Clock) -> float | None:
    """Seconds, from either form of the header."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.fromtimestamp(clock.time_ns() / 1e9, UTC)).total_seconds())


def _why(error: BaseException) -> str:
    while cause := error.args[0] if error.args and isinstance(error.args[0], BaseException) else error.__cause__:
        error = cause
    return (str(error) or type(error).__name__).rstrip(".")[:300]
