"""A client of `/mcp`: the SDK's own, over HTTP, and raw requests."""

import asyncio
import contextlib
import http.client
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx2
from mcp import Client, types
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

_T = TypeVar("_T")

LEGACY, MODERN = "legacy", "auto"


@contextlib.asynccontextmanager
async def connected(url: str, token: str = "", mode: str = MODERN) -> AsyncIterator[Client]:
    """A client of the web port at `url`."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def over_stdio(*arguments: str, token: str = "") -> Any:
    """A transport to `spanmeter mcp` with these arguments."""
    command = [sys.executable, "-m", "collector", "mcp", *arguments]
    environment = {**os.environ, "SPANMETER_TOKEN": token}
    return stdio_client(StdioServerParameters(command=command[0], args=command[1:], env=environment))


def using(url: str, do: Callable[[Client], Awaitable[_T]], token: str = "", mode: str = MODERN) -> _T:
    """What `do` returns of a client of the web port at `url`."""
    return _run(connected(url, token, mode), do)


def over(do: Callable[[Client], Awaitable[_T]], transport: Any, mode: str = MODERN) -> _T:
    """What `do` returns of a client over a transport."""
    return _run(Client(transport, mode=mode), do)


def _run(connecting: contextlib.AbstractAsyncContextManager[Client], do: Callable[[Client], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        async with connecting as client:
            return await do(client)

    try:
        return asyncio.run(run())
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(error: BaseException) -> BaseException:
    """What failed, out of the groups that the SDK wraps around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def called(client: Client, tool: str, arguments: Mapping[str, Any] | None = None) -> Any:
    """The structured answer of a tool that does not fail."""
    result = await client.call_tool(tool, dict(arguments or {}))
    assert not result.is_error, text_of(result)
    return result.structured_content


async def failed(client: Client, tool: str, arguments: Mapping[str, Any] | None = None) -> str:
    """The sentence of a tool that fails."""
    result = await client.call_tool(tool, dict(arguments or {}))
    assert result.is_error, result.structured_content
    return text_of(result)


def text_of(result: types.CallToolResult) -> str:
    block = result.content[0]
    assert isinstance(block, types.TextContent)
    return block.text


async def names(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: Any


def raw(url: str, body: object, method: str = "POST", **headers: str) -> Answer:
    """The answer to a request with these headers; `body` is sent as JSON, bytes as they are."""
    address = urlsplit(url)
    sent = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, "/mcp", content, sent)
        answer = connection.getresponse()
        text = answer.read()
    shown = {name.lower(): value for name, value in answer.getheaders()}
    return Answer(answer.status, shown, json.loads(text) if text else None)


def asking(method: str, **params: Any) -> dict[str, Any]:
    """A request as JSON-RPC."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
