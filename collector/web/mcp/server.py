"""The protocol's server, by its SDK: which tools there are for whom, and what becomes of a call."""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from collector import __version__
from collector.errors import Reason, SpanmeterError, Unavailable
from collector.model.json_text import json_bytes
from collector.model.principal import Principal
from collector.web.mcp.endpoint import MAX_BODY_BYTES
from collector.web.mcp.marking import as_data
from collector.web.mcp.schemas import input_schema, output_schema
from collector.web.mcp.tool import AnyTool, Asker
from collector.web.mcp.tools import TOOLS
from collector.web.mcp.words import INSTRUCTIONS
from collector.web.operation import Services

log = structlog.get_logger("spanmeter.mcp")

_BY_NAME: Final[Mapping[str, AnyTool]] = {tool.name: tool for tool in TOOLS}
_DEFECT: Final = "This is a defect of spanmeter; its log has the details."
_MAX_CLIENT_LENGTH: Final = 80

_Context = Any  # the SDK's context of a request


class McpServer:
    """Answers each request by itself."""

    def __init__(self, services: Services) -> None:
        logging.getLogger("mcp").setLevel(logging.WARNING)  # it tells of each request that it starts and stops
        self._services = services
        self._server: Server[Any] = Server(
            "spanmeter",
            version=__version__,
            instructions=INSTRUCTIONS,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            get_tool_input_schema=lambda name: input_schema(_BY_NAME[name]) if name in _BY_NAME else None,
        )
        self._server.middleware.clear()  # which would trace each request

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request of who is the `principal` in the scope's state."""
        manager = StreamableHTTPSessionManager(
            self._server, stateless=True, json_response=True, max_request_body_size=MAX_BODY_BYTES
        )
        async with manager.run():
            await manager.handle_request(scope, receive, send)

    async def _list_tools(self, context: _Context, _: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        principal = _principal(context)
        return types.ListToolsResult(tools=[_listed(tool) for tool in TOOLS if principal.may(tool.scope)])

    async def _call_tool(self, context: _Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        tool = _BY_NAME.get(params.name)
        began = time.monotonic()
        asker, arguments = Asker(self._services, _principal(context)), params.arguments or {}
        outcome, result = await _outcome(tool, asker, arguments)
        log.info(
            "An MCP tool was called.",
            tool=tool.name if tool else "unknown",
            principal=asker.principal.name,
            project=asker.principal.project,
            client=_client(context),
            outcome=outcome,
            argument_bytes=len(json_bytes(arguments)),
            answer_bytes=sum(len(block.text.encode()) for block in result.content if block.type == "text"),
            milliseconds=round((time.monotonic() - began) * 1000),
        )
        return result


async def _outcome(
    tool: AnyTool | None, asker: Asker, arguments: Mapping[str, Any]
) -> tuple[str, types.CallToolResult]:
    """A word for the log, and the answer; a failure is an answer too, which the model reads."""
    if tool is None:
        return Reason.NOT_FOUND.value, _failure(f"There is no such tool; there are {', '.join(_BY_NAME)}.")
    try:
        found = await tool(asker, arguments)
        text = as_data(found) if tool.recorded else json_bytes(found).decode()
        return "ok", types.CallToolResult(content=[_text(text)], structured_content=found)
    except Unavailable as error:
        return error.reason.value, _failure(f"{error} Try again in {error.retry_after:g} s.")
    except SpanmeterError as error:
        return getattr(error, "reason", Reason.INTERNAL).value, _failure(str(error))
    except Exception:  # a defect is answered in the one shape too, and logged
        log.exception("An MCP tool failed.", tool=tool.name)
        return Reason.INTERNAL.value, _failure(_DEFECT)


def _failure(sentence: str) -> types.CallToolResult:
    return types.CallToolResult(content=[_text(sentence)], is_error=True)


def _text(text: str) -> types.TextContent:
    return types.TextContent(text=text)


def _listed(tool: AnyTool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=input_schema(tool),
        output_schema=output_schema(tool),
        annotations=types.ToolAnnotations(
            read_only_hint=not tool.writes,
            destructive_hint=False,
            idempotent_hint=not tool.writes,
            open_world_hint=False,
        ),
    )


def _principal(context: _Context) -> Principal:
    principal: Principal = context.request.scope["state"]["principal"]
    return principal


def _client(context: _Context) -> str:
    """What a client calls itself, as far as a log can take it."""
    agent: str = context.request.headers.get("user-agent", "")
    return "".join(letter for letter in agent if letter.isprintable())[:_MAX_CLIENT_LENGTH]
