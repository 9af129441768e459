"""MCP on standard input and output, handed on to the daemon's `/mcp`: what may be done is decided there, and logged."""

import asyncio
from functools import partial
from typing import Any

from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from collector import __version__
from collector.cli.daemon import ask
from collector.errors import SpanmeterError
from collector.web.mcp.endpoint import PATH
from collector.web.mcp.marking import INSTRUCTIONS

_Context = Any  # the SDK's context of a request


async def serve(url: str, token_variable: str) -> None:
    """Answer until standard input ends. The daemon at `url` need not run yet: each request asks it anew."""
    ask_daemon = partial(_asked, url, token_variable)

    async def list_tools(_: _Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        try:
            return types.ListToolsResult.model_validate(await ask_daemon("tools/list", params))
        except SpanmeterError as error:
            raise MCPError(types.INTERNAL_ERROR, str(error)) from None

    async def call_tool(_: _Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            return types.CallToolResult.model_validate(await ask_daemon("tools/call", params))
        except SpanmeterError as error:
            return types.CallToolResult(content=[types.TextContent(text=str(error))], is_error=True)

    server: Server[Any] = Server(
        "spanmeter",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=lambda _: None,
    )
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


async def _asked(url: str, token_variable: str, method: str, params: BaseModel | None) -> Any:
    """The result of a request. Raises SpanmeterError when the daemon does not answer it, MCPError when it refuses."""
    stated = params.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"meta"}) if params else {}
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": stated}
    answer = await asyncio.to_thread(ask, url, PATH, request, token_variable)
    if "error" in answer:
        raise MCPError(answer["error"]["code"], answer["error"]["message"])
    return answer["result"]
